// Shows the OpenAPI document that stands in the page, so that nothing has to be asked for it.
"use strict";

const viewer = document.querySelector("rapi-doc");
const darkness = window.matchMedia("(prefers-color-scheme: dark)");

function colour() {
  viewer.setAttribute("theme", darkness.matches ? "dark" : "light");
  viewer.setAttribute("bg-color", darkness.matches ? "#16181d" : "#ffffff");
  viewer.setAttribute("text-color", darkness.matches ? "#d5d9e0" : "#22262e");
  viewer.setAttribute("nav-bg-color", darkness.matches ? "#1d2027" : "#f4f5f7");
  viewer.setAttribute("nav-text-color", darkness.matches ? "#d5d9e0" : "#22262e");
}

colour();
darkness.addEventListener("change", colour);
customElements.whenDefined("rapi-doc").then(() => {
  viewer.loadSpec(JSON.parse(document.getElementById("document").textContent));
});
