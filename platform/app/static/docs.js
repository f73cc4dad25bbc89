// Starts Swagger UI on /docs. A file of its own, because the page's Content-Security-Policy refuses inline scripts.
const place = document.getElementById("swagger-ui");

window.ui = SwaggerUIBundle({
  url: place.dataset.openapi,
  domNode: place,
  layout: "BaseLayout",
  presets: [SwaggerUIBundle.presets.apis],
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  // The badge would send the address of this page to a validator on the internet.
  validatorUrl: null,
});
