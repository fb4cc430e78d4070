// The time zone of this browser, told to the studio by a cookie: from the next page on its times are the member's own.
// Without it they are UTC's, and say so.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const told = `zone=${zone}`;
const https = location.protocol === "https:" ? "; secure" : "";
if (zone && !document.cookie.split("; ").includes(told)) document.cookie = `${told}; path=/; max-age=31536000; samesite=lax${https}`;
