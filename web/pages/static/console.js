// The console's own script: the reader's choices, times in the reader's zone, filters, logs, copying.
// It runs in the head, before anything is drawn, so that no page flashes in the wrong colours.
"use strict";

const stillframe = (() => {
  const cookie = (name) =>
    document.cookie.split("; ").find((one) => one.startsWith(`stillframe_${name}=`))?.split("=")[1];
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");

  function paint() {
    const theme = cookie("theme") || "auto";
    const dark = theme === "dark" || (theme === "auto" && prefersDark.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
    if (globalThis.Quasar) Quasar.Dark.set(dark);
  }

  function choose(name, value) {
    document.cookie = `stillframe_${name}=${value};path=/;max-age=31536000;samesite=lax`;
    if (name === "theme") paint();
    else location.reload();
  }

  // Times -------------------------------------------------------------------------------------------------
  const language = () => document.documentElement.lang || "en";
  const STEPS = [
    ["second", 1],
    ["minute", 60],
    ["hour", 3600],
    ["day", 86400],
    ["month", 2629800],
    ["year", 31557600],
  ];

  function ago(when) {
    const seconds = (when - Date.now()) / 1000;
    const size = Math.abs(seconds);
    const [unit, length] = STEPS.findLast(([, least]) => size >= least) || STEPS[0];
    const words = new Intl.RelativeTimeFormat(language(), { numeric: "auto" });
    return size < 5 ? words.format(0, "second") : words.format(Math.round(seconds / length), unit);
  }

  function running(when) {
    const seconds = Math.max(0, Math.floor((Date.now() - when) / 1000));
    const pad = (number) => String(number).padStart(2, "0");
    const minutes = Math.floor(seconds / 60);
    return minutes < 60
      ? `${minutes}:${pad(seconds % 60)}`
      : `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${pad(seconds % 60)}`;
  }

  const clock = (when) => new Intl.DateTimeFormat(language(), { timeStyle: "medium" }).format(when);
  const whole = (when) =>
    new Intl.DateTimeFormat(language(), { dateStyle: "full", timeStyle: "long" }).format(when);
  const WORDINGS = { ago, running, clock };

  function word(element) {
    const iso = element.getAttribute("datetime");
    const when = new Date(iso);
    const wording = WORDINGS[element.dataset.sf];
    if (!wording || isNaN(when)) return;
    const text = wording(when);
    if (element.textContent !== text) element.textContent = text;
    const title = `${whole(when)}\n${iso}`;
    if (element.title !== title) element.title = title;
  }

  const wordAll = (root) => root.querySelectorAll("time[data-sf]").forEach(word);

  // Logs --------------------------------------------------------------------------------------------------
  function log(id, lines) {
    const view = document.getElementById(`c${id}`);
    const place = view?.querySelector("pre");
    if (!place) return;
    const atEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
    const all = (place.sfLines || place.textContent.split("\n").filter(Boolean)).concat(lines);
    place.sfLines = all.slice(-Number(place.dataset.limit));
    drawLog(view, place);
    if (atEnd) place.scrollTop = place.scrollHeight;
  }

  function drawLog(view, place) {
    const wanted = view.querySelector("input").value.toLowerCase();
    place.sfLines ||= place.textContent.split("\n").filter(Boolean);
    const shown = wanted ? place.sfLines.filter((line) => line.toLowerCase().includes(wanted)) : place.sfLines;
    place.textContent = shown.join("\n");
    view.querySelector(".sf-log-count").textContent = wanted ? `${shown.length} / ${place.sfLines.length}` : "";
  }

  // Filters -----------------------------------------------------------------------------------------------
  const typed = new Map();

  function filterTable(box, wanted) {
    let found = 0;
    for (const row of box.querySelectorAll("tbody tr")) {
      const fits = row.textContent.toLowerCase().includes(wanted.toLowerCase());
      row.hidden = !fits;
      found += fits ? 1 : 0;
    }
    const none = box.querySelector(".sf-no-match");
    if (none) none.hidden = found > 0 || !wanted;
  }

  const captionOf = (box) => box.querySelector("caption")?.textContent || "";

  function typing(event) {
    const field = event.target;
    if (!field.classList?.contains("sf-filter")) return;
    const view = field.closest("[data-sf-log]");
    if (view) drawLog(view, view.querySelector("pre"));
    const box = field.closest(".sf-table-box");
    if (box) {
      typed.set(captionOf(box), field.value);
      filterTable(box, field.value);
    }
  }

  // What a reader typed into a filter outlives the table that is drawn anew below it.
  function refilter(root) {
    for (const box of root.querySelectorAll(".sf-table-box[data-sf-filtered]")) {
      const wanted = typed.get(captionOf(box));
      const field = box.querySelector(".sf-filter");
      if (wanted && field && field.value === "") {
        field.value = wanted;
        filterTable(box, wanted);
      }
    }
  }

  // Clicks ------------------------------------------------------------------------------------------------
  async function clicked(event) {
    const copy = event.target.closest?.("[data-sf-copy]");
    if (copy) {
      const text = copy.closest(".sf-code, .sf-log")?.querySelector("pre")?.textContent ?? "";
      await navigator.clipboard.writeText(text);
      copy.classList.add("sf-copied");
      setTimeout(() => copy.classList.remove("sf-copied"), 1200);
      return;
    }
    const row = event.target.closest?.("tr.sf-row-link");
    const inside = event.target.closest?.("a, button, input, select, label");
    if (row && !inside && !getSelection()?.toString()) row.querySelector("a[href]")?.click();
  }

  paint();
  prefersDark.addEventListener("change", paint);
  document.addEventListener("input", typing);
  document.addEventListener("click", clicked);
  document.addEventListener("DOMContentLoaded", () => {
    paint();
    wordAll(document);
    new MutationObserver((changes) => {
      for (const change of changes) {
        if (change.type === "attributes") {
          if (change.target.matches("time[data-sf]")) word(change.target);
          continue;
        }
        for (const node of change.addedNodes) {
          if (node.nodeType !== Node.ELEMENT_NODE) continue;
          if (node.matches("time[data-sf]")) word(node);
          wordAll(node);
          refilter(node);
        }
      }
    }).observe(document.body, {
      childList: true,
      subtree: true,
      attributes: true,
      attributeFilter: ["datetime"],
    });
    setInterval(() => document.hidden || wordAll(document), 1000);
  });
  return { choose, log };
})();
globalThis.stillframe = stillframe;
