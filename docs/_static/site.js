// What is wider than its place scrolls; then a keyboard must be able to reach it.
const scrolls = () => {
  for (const box of document.querySelectorAll("pre, div.math, .table-wrapper")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
};
addEventListener("DOMContentLoaded", scrolls);
addEventListener("resize", scrolls);
