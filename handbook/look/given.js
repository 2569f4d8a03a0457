// Here an appliance tells what it is called instead of Dash; a copy of the site tells nothing.
globalThis.given = null;
