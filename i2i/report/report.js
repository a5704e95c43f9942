// Two sliders: through the steps of a training, and from an image to its translation.
// Without this script the page shows the last step, and each pair of images side by side.
"use strict";

const MS_A_STEP = 450;

for (const viewer of document.querySelectorAll(".viewer")) {
  const sheets = [...viewer.querySelectorAll(".sheet")];
  const slider = viewer.querySelector("input");
  if (!slider) continue;  // a single step
  const output = viewer.querySelector("output");
  const play = viewer.querySelector("button");
  let timer = 0;

  const show = () => {
    const place = Number(slider.value);
    sheets.forEach((sheet, other) => sheet.classList.toggle("current", other === place));
    const text = sheets[place].dataset.step;
    output.textContent = text;
    slider.setAttribute("aria-valuetext", `step ${text}, ${place + 1} of ${sheets.length}`);
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  };
  const advance = () => {
    slider.value = Number(slider.value) + 1;
    show();
    if (Number(slider.value) === sheets.length - 1) stop();
  };
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (Number(slider.value) === sheets.length - 1) slider.value = 0;
    show();
    play.textContent = "Stop";
    timer = setInterval(advance, MS_A_STEP);
  });
  slider.addEventListener("input", () => {
    stop();
    show();
  });
  slider.value = sheets.length - 1;  // browsers keep what was chosen before the page was loaded again
  show();
}

for (const slider of document.querySelectorAll(".pairs input")) {
  const frame = slider.parentElement;
  const [before, after] = [...frame.querySelectorAll(".tag")].map((tag) => tag.textContent);
  const show = () => {
    frame.style.setProperty("--at", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `${slider.value} % ${before}, ${100 - slider.value} % ${after}`);
  };
  slider.addEventListener("input", show);
  slider.value = 50;
  show();
}

document.documentElement.classList.add("js");
