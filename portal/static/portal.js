// What HTML alone cannot do: poll only while somebody looks, keep times fresh, copy, and speak after an htmx answer.
(function () {
  "use strict";
  var STALE_AFTER_SECONDS = 20;

  // --- polling ---------------------------------------------------------------------------------

  document.addEventListener("htmx:beforeRequest", function (event) {
    if (event.detail.elt.hasAttribute("data-poll") && document.hidden) event.preventDefault();
  });

  document.addEventListener("visibilitychange", function () {
    if (document.hidden) return;
    document.querySelectorAll("[data-poll]").forEach(function (element) {
      window.htmx.trigger(element, "refresh");
    });
  });

  // A poll that fails leaves what is shown, which then says itself that it is old.
  document.addEventListener("htmx:beforeSwap", function (event) {
    var polls = event.detail.requestConfig.elt.hasAttribute("data-poll");
    if (polls && event.detail.xhr.status >= 400) event.detail.shouldSwap = false;
  });

  // The status panel tells of the switches beside it: it is asked again as soon as one was moved.
  document.addEventListener("htmx:afterSettle", function (event) {
    var panel = event.detail.target.id === "modules-switches" && document.getElementById("status-panel");
    if (panel) window.htmx.trigger(panel, "refresh");
  });

  // --- times -----------------------------------------------------------------------------------

  function rough(seconds) {
    if (seconds < 60) return Math.floor(seconds) + " s";
    if (seconds < 3600) return Math.floor(seconds / 60) + " min";
    if (seconds < 172800) return Math.floor(seconds / 3600) + " h";
    var days = Math.floor(seconds / 86400);
    if (days < 60) return days + " days";
    return days < 730 ? Math.floor(days / 30) + " months" : Math.floor(days / 365) + " years";
  }

  function ago(iso) {
    var seconds = (Date.now() - Date.parse(iso)) / 1000;
    if (Math.abs(seconds) < 3) return "just now";
    return seconds > 0 ? rough(seconds) + " ago" : "in " + rough(-seconds);
  }

  function say(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  // The age of a panel is counted from when it arrived here: the server's clock may differ from this one.
  function age(element) {
    if (!element.dataset.arrived) element.dataset.arrived = Date.now();
    return (Date.now() - Number(element.dataset.arrived)) / 1000;
  }

  function tick() {
    document.querySelectorAll("time[data-ago]").forEach(function (element) {
      say(element, ago(element.dateTime));
    });
    document.querySelectorAll("[data-updated]").forEach(function (element) {
      var seconds = age(element);
      var stale = seconds > STALE_AFTER_SECONDS;
      element.classList.toggle("is-stale", stale);
      var span = seconds < 3 ? "just now" : rough(seconds) + " ago";
      say(element, stale ? "Not up to date: last seen " + span : "Updated " + span);
    });
  }

  window.setInterval(function () {
    if (!document.hidden) tick();
  }, 1000);
  document.addEventListener("htmx:afterSettle", tick);
  tick();

  // --- feedback --------------------------------------------------------------------------------

  function feedback(text, kind) {
    var region = document.getElementById("feedback");
    if (!region) return;
    var note = document.createElement("p");
    note.className = "note note-" + kind;
    note.textContent = text;
    region.replaceChildren(note);
  }

  document.addEventListener("feedback", function (event) {
    feedback(event.detail.text, event.detail.kind);
  });

  document.addEventListener("htmx:sendError", function (event) {
    if (event.detail.elt.hasAttribute("data-poll")) return;
    feedback("The portal could not be reached. Nothing was changed; check your connection and try again.", "bad");
  });

  // --- copying ---------------------------------------------------------------------------------

  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-copy]");
    if (!button) return;
    var source = document.getElementById(button.dataset.copy);
    var word = button.querySelector("[data-copy-word]");
    navigator.clipboard.writeText(source.textContent.trim()).then(
      function () {
        word.textContent = "Copied";
        feedback("Copied.", "ok");
      },
      function () {
        window.getSelection().selectAllChildren(source);
        word.textContent = "Selected: press Ctrl+C";
      },
    );
  });

  // --- colours ---------------------------------------------------------------------------------

  // A picker and the text beside it follow each other; the text is what is sent.
  document.addEventListener("input", function (event) {
    var text = event.target.dataset.picks && document.getElementById(event.target.dataset.picks);
    if (text) text.value = event.target.value;
    var picker = document.querySelector('[data-picks="' + event.target.id + '"]');
    if (picker && /^#[0-9a-f]{6}$/i.test(event.target.value)) picker.value = event.target.value;
  });

  // A menu that is open closes with Escape and when focus leaves it.
  document.addEventListener("keydown", function (event) {
    var menu = event.key === "Escape" && document.querySelector("details.topmenu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
})();
