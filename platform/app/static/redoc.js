// Starts Redoc on /redoc. A file of its own, because the page's Content-Security-Policy refuses inline scripts.
const place = document.getElementById("redoc");
const sans = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const mono = 'ui-monospace, SFMono-Regular, Menlo, Consolas, monospace';

Redoc.init(
  place.dataset.openapi,
  {
    hideDownloadButton: true,
    scrollYOffset: ".bar",
    theme: {
      colors: { primary: { main: "#16695c" } },
      typography: { fontFamily: sans, headings: { fontFamily: sans }, code: { fontFamily: mono } },
    },
  },
  place,
);
