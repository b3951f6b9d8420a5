// Runs before the first paint: the chosen colours, and the mark that scripts run. Nothing else may be in here.
(function () {
  "use strict";
  var root = document.documentElement;
  var dark = window.matchMedia("(prefers-color-scheme: dark)");

  function chosen() {
    try {
      return localStorage.getItem("theme") || "auto";
    } catch (blocked) {
      return "auto"; // storage is forbidden: follow the system
    }
  }

  function apply() {
    var theme = chosen();
    root.setAttribute("data-bs-theme", theme === "auto" ? (dark.matches ? "dark" : "light") : theme);
  }

  root.classList.add("js");
  apply();
  dark.addEventListener("change", apply);

  document.addEventListener("change", function (event) {
    if (!event.target.matches("[data-theme-choice]")) return;
    try {
      localStorage.setItem("theme", event.target.value);
    } catch (blocked) {
      return;
    }
    apply();
    mark();
  });

  function mark() {
    document.querySelectorAll("[data-theme-choice]").forEach(function (input) {
      input.checked = input.value === chosen();
    });
  }

  document.addEventListener("DOMContentLoaded", mark);
})();
