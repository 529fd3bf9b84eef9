// Keyboard shortcuts. The page works without them.
"use strict";

document.documentElement.classList.add("with-keys");

const form = document.getElementById("answer");
const undo = document.getElementById("undo");
const writes = (element) => element.matches("textarea, input[type=text]");

// What Enter does by itself on these is what it should do.
const acts = (element) => element.matches("button, summary, a");

function choose(radio) {
  if (!radio) return;
  radio.checked = !radio.checked;
  radio.focus();
}

function edit() {
  const chosen = form.querySelector("[name=choice]:checked");
  const place = chosen && chosen.value !== "tie" ? chosen.value : "0";
  const text = form.querySelector(`[name=edit-${place}]`);
  text.closest("details").open = true;
  text.focus();
  text.setSelectionRange(text.value.length, text.value.length);
}

function flag() {
  const box = document.getElementById("flag");
  box.closest("details").open = true;
  box.checked = true;
  document.getElementById("note").focus();
}

const keys = {
  t: () => choose(document.getElementById("choice-tie")),
  s: () => form.requestSubmit(document.getElementById("skip")),
  e: edit,
  f: flag,
  Enter: () => form.requestSubmit(),
};
for (const place of [0, 1, 2, 3]) keys[place + 1] = () => choose(document.getElementById(`choice-${place}`));

document.addEventListener("keydown", (event) => {
  const target = event.target;
  if (event.isComposing || event.repeat || event.altKey) return;
  if (writes(target)) {
    if (event.key === "Escape") target.blur();
    if (form && event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    return;
  }
  if (event.ctrlKey || event.metaKey) return;
  if (event.key === "Enter" && acts(target)) return;
  const undoes = event.key === "u" && undo && !document.getElementById("undo-button").disabled;
  const action = undoes ? () => undo.requestSubmit() : form && keys[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload(); // the way back shows what is saved now
});
