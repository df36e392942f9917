"use strict";
// What a mark tells, beside it: for the mouse, for a finger and for the keyboard.
const told = document.getElementById("told");
const gap = 10;

function show(mark) {
  told.textContent = mark.getAttribute("aria-label");
  told.hidden = false;
  const at = mark.getBoundingClientRect();
  const own = told.getBoundingClientRect();
  const left = Math.min(Math.max(gap, at.left + at.width / 2 - own.width / 2), innerWidth - own.width - gap);
  const above = at.top - own.height - gap;
  told.style.left = `${Math.max(gap, left)}px`;
  told.style.top = `${above > gap ? above : at.bottom + gap}px`;
}

function hide() {
  told.hidden = true;
}

for (const mark of document.querySelectorAll(".mark")) {
  const title = mark.querySelector("title");
  mark.setAttribute("aria-label", title.textContent);
  title.remove(); // the browser's own tip would lie over ours
  mark.addEventListener("pointerenter", () => show(mark));
  mark.addEventListener("pointerleave", hide);
  mark.addEventListener("focus", () => show(mark));
  mark.addEventListener("blur", hide);
}
document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
document.addEventListener("scroll", hide, { passive: true });

// Copying: a page that lies on a disk may not be let at the clipboard, but it may copy what is selected.
async function copy(button) {
  const source = document.getElementById(button.dataset.copies);
  const range = document.createRange();
  range.selectNodeContents(source);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  let done = false;
  try {
    done = document.execCommand("copy");
    if (!done) {
      await navigator.clipboard.writeText(source.textContent);
      done = true;
    }
  } catch {
    done = false;
  }
  button.textContent = done ? "Copied" : "Selected";
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

for (const button of document.querySelectorAll("[data-copies]")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}
