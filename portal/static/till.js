// The till's camera, where the browser can read barcodes; without it the number is typed.
(function () {
  "use strict";
  var LOOK_EVERY_MS = 200;
  var FORMATS = ["qr_code", "code_128", "aztec", "pdf417"];

  var form = document.querySelector("[data-scan]");
  var start = form && form.querySelector("[data-scan-start]");
  if (!start || !("BarcodeDetector" in window) || !navigator.mediaDevices) return;

  var view = form.querySelector("[data-scan-view]");
  var word = form.querySelector("[data-scan-word]");
  var video = view.querySelector("video");
  start.hidden = false;

  function stop() {
    if (video.srcObject) {
      video.srcObject.getTracks().forEach(function (track) {
        track.stop();
      });
    }
    video.srcObject = null;
  }

  function look(detector) {
    if (!video.srcObject) return;
    detector.detect(video).then(
      function (codes) {
        if (!codes.length) return window.setTimeout(look, LOOK_EVERY_MS, detector);
        stop();
        form.elements.code.value = codes[0].rawValue;
        form.requestSubmit();
      },
      function () {
        window.setTimeout(look, LOOK_EVERY_MS, detector);
      },
    );
  }

  function refuse() {
    stop();
    view.hidden = false;
    start.hidden = false;
    word.textContent = "The camera could not be used. Allow it in the browser, or type the number.";
  }

  start.addEventListener("click", function () {
    navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } }).then(function (stream) {
      video.srcObject = stream;
      view.hidden = false;
      start.hidden = true;
      return window.BarcodeDetector.getSupportedFormats().then(function (formats) {
        var known = FORMATS.filter(function (format) {
          return formats.indexOf(format) >= 0;
        });
        return video.play().then(function () {
          look(new window.BarcodeDetector(known.length ? { formats: known } : undefined));
        });
      });
    }).catch(refuse);
  });

  window.addEventListener("pagehide", stop);
})();
