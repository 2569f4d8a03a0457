"""``/api/v1/branding``: name, colour, logo. Read by anybody, since the sign-in page shows them."""

from typing import Final

import msgspec
from litestar import Controller, Response, delete, get, put
from litestar.params import FromPath

from appliance.api.exchange import AnyRequest, answered, asked, nothing, read_body, read_parameters, services_of
from appliance.api.operations import Open, Operation, does
from appliance.domain.access import Action
from appliance.domain.brand import Words
from appliance.errors import Invalid, NotFound, TooLarge, Unlicensed
from appliance.services.branding import BrandingView

MOST_SENT: Final = 1 << 20  # a picture that is a little too large is told how large it is
# What is uploaded by a stranger to us and shown to everybody: it is a picture, and nothing in it runs or is fetched,
# also where somebody opens its address itself.
_POLICY: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``v``: names the content, as in the addresses that are told; then it may be kept for ever."""

    v: str | None = None


class BrandingController(Controller):
    path = "/branding"
    tags = ("branding",)

    @get(
        "/",
        **does(
            Operation(
                summary="What the appliance is called and looks like",
                description="`own` is false while it is Dash in everything.",
                access=Open.ANYBODY,
                answer=BrandingView,
            )
        ),
    )
    async def show(self, request: AnyRequest) -> Response[bytes]:
        return answered(services_of(request).branding.view(), headers={"cache-control": "no-cache"})

    @put(
        "/",
        **does(
            Operation(
                summary="Change what the appliance is called, its colour, and who helps",
                description="The whole of it: what is left out is as Dash has it. Pictures stay. Needs a licence that "
                "names `white_label`; what was set stays when it has ended.",
                access=Action.BRANDING_MANAGE,
                body=Words,
                example={"name": "Example Insight", "accent": "#0b6e4f"},
                answer=BrandingView,
                errors=(Unlicensed, Invalid),
            )
        ),
    )
    async def change(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        wanted = await read_body(request, Words)
        return answered(await services.branding.change(who, wanted))

    @delete(
        "/",
        **does(
            Operation(
                summary="Be Dash again, in everything",
                description="Pictures go too. No licence is needed.",
                access=Action.BRANDING_MANAGE,
                status=204,
            )
        ),
    )
    async def reset(self, request: AnyRequest) -> Response[None]:
        services, who = asked(request)
        await services.branding.reset(who)
        return nothing()

    @get(
        "/{kind:str}",
        **does(
            Operation(
                summary="A picture: `logo`, `logo_dark` or `favicon`",
                access=Open.ANYBODY,
                parameters=Wanted,
                media=("image/png", "image/svg+xml", "image/x-icon"),
                errors=(NotFound, Invalid),
            )
        ),
    )
    async def picture(self, request: AnyRequest, kind: FromPath[str]) -> Response[bytes]:
        wanted = read_parameters(request, Wanted)
        found = services_of(request).branding.picture(kind)
        lasting = wanted.v == found.digest
        tag = f'"{found.digest}"'
        kept = "public, max-age=31536000, immutable" if lasting else "no-cache"
        headers = _HEADERS | {"etag": tag, "cache-control": kept}
        if tag in request.headers.get("if-none-match", ""):
            return Response(b"", status_code=304, headers=headers)
        return Response(found.data, media_type=found.media, headers=headers)

    @put(
        "/{kind:str}",
        request_max_body_size=MOST_SENT,
        **does(
            Operation(
                summary="Upload a picture",
                description="The body is the file as it is, at most 256 KiB: a PNG or an SVG, for `favicon` also an "
                "ICO. What it is, its bytes tell; an SVG that would do or fetch something is refused. Needs a licence "
                "that names `white_label`.",
                access=Action.BRANDING_MANAGE,
                answer=BrandingView,
                errors=(Unlicensed, NotFound, TooLarge, Invalid),
            )
        ),
    )
    async def upload(self, request: AnyRequest, kind: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.branding.put_picture(who, kind, await request.body()))

    @delete(
        "/{kind:str}",
        **does(
            Operation(
                summary="Take a picture away",
                description="No licence is needed.",
                access=Action.BRANDING_MANAGE,
                status=204,
                errors=(NotFound,),
            )
        ),
    )
    async def drop(self, request: AnyRequest, kind: FromPath[str]) -> Response[None]:
        services, who = asked(request)
        await services.branding.drop_picture(who, kind)
        return nothing()
