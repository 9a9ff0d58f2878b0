"use strict";
// One choice of a variant steers every figure and table that shows one.
(() => {
  const choice = document.getElementById("variant");
  if (!choice) return;
  const parts = [...document.querySelectorAll("[data-variant]")];
  const show = () => {
    for (const part of parts) part.classList.toggle("on", part.dataset.variant === choice.value);
  };
  choice.closest(".choose").hidden = false;
  choice.addEventListener("change", show);
  show();
})();
