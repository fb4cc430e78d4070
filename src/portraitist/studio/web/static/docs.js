// Draws /openapi.json with Swagger UI, which is installed from the npm registry and not part of this package.
"use strict";

if (window.SwaggerUIBundle) {
  window.SwaggerUIBundle({ url: "/openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null });
} else {
  document.querySelector("#api p").append(" The pretty view needs `make up` once, which installs its files.");
}
