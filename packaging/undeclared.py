"""What is compiled into wheels, or packed into them for browsers, and not told by their makers.

Looked up in their source distributions and in the built files. A new version of such a wheel may bring other parts:
then the build stops here until somebody has looked.
"""

# Distribution: the version looked at (major and minor), then name, version and licence of each part.
COMPILED: dict[str, tuple[str, tuple[tuple[str, str, str], ...]]] = {
    "argon2-cffi-bindings": ("26.2", (("argon2", "", "CC0-1.0 OR Apache-2.0"),)),
    "cffi": ("2.1", (("libffi", "", "MIT"),)),
    "duckdb": (
        "2.0",
        (
            ("alp", "", "MIT"),
            ("brotli", "", "MIT"),
            ("concurrentqueue", "", "BSD-2-Clause"),
            ("cpp-httplib", "0.53.1", "MIT"),
            ("fast_float", "", "MIT"),
            ("fastpforlib", "", "Apache-2.0"),
            ("fmt", "6.1.2", "MIT"),
            ("fsst", "", "MIT"),
            ("hyperloglog", "", "MIT"),
            ("icu", "", "ICU AND Unicode-3.0"),
            ("jaro_winkler", "", "MIT"),
            ("jemalloc", "5.3.0", "BSD-2-Clause"),
            ("lz4", "1.9.4", "BSD-2-Clause"),
            ("mbedtls", "3.6.7", "Apache-2.0 OR GPL-2.0-or-later"),
            ("miniz", "", "MIT"),
            ("parquet", "", "Apache-2.0"),
            ("pcg", "", "MIT"),
            ("pdqsort", "", "Zlib"),
            ("re2", "", "BSD-3-Clause"),
            ("ska_sort", "", "BSL-1.0"),
            ("skiplist", "", "MIT"),
            ("snappy", "", "BSD-3-Clause"),
            ("tdigest", "", "Apache-2.0"),
            ("thrift", "", "Apache-2.0"),
            ("utf8proc", "2.9.0", "MIT AND Unicode-DFS-2016"),
            ("vergesort", "", "MIT"),
            ("yyjson", "0.9.0", "MIT"),
            ("zstd", "1.5.6", "BSD-3-Clause"),
        ),
    ),
    "psycopg-binary": (
        "3.3",
        (
            ("krb5", "1.22.2", "MIT"),
            ("libcrypt", "", "LGPL-2.1-or-later"),
            ("libpq", "18.6", "PostgreSQL"),
            ("openldap", "", "OLDAP-2.8"),
            ("openssl", "3.5.9", "Apache-2.0"),
        ),
    ),
    "PyYAML": ("6.0", (("libyaml", "0.2.5", "MIT"),)),
    "uvloop": ("0.23", (("libuv", "1.52.1", "MIT"),)),
    "zstandard": ("0.25", (("zstd", "1.5.7", "BSD-3-Clause"),)),
}

# Bills of wheels, and locks of packages for browsers, name these and not their licence.
LICENCES = {
    "claygl": "BSD-2-Clause",
    "cyrus-sasl-lib": "BSD-Attribution-HPND-disclaimer",
    "keyutils-libs": "LGPL-2.1-or-later",
    "libcom_err": "MIT",
    "openssl": "Apache-2.0",
}

# What NiceGUI ships for browsers: licence, file in its package, and how that file tells its version ("": it does not).
IN_BROWSERS = {
    "dompurify": ("MPL-2.0 OR Apache-2.0", "static/dompurify.mjs", r"DOMPurify ([\d.]+)"),
    "quasar": ("MIT", "static/quasar.umd.prod.js", r"Quasar Framework v([\d.]+)"),
    "socket.io-client": ("MIT", "static/socket.io.min.js", r"Socket.IO v([\d.]+)"),
    "vue": ("MIT", "static/vue.esm-browser.prod.js", r"vue v([\d.]+)"),
}
FONTS = (("material-icons", "Apache-2.0"), ("material-symbols", "Apache-2.0"), ("roboto", "OFL-1.1"))
OWN_STATIC = ("nicegui.js", "utils/dynamic_properties.js", "utils/json.js", "utils/resources.js")
