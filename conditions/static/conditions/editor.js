"use strict";
// The prose editor adds a <style> to the page unless it finds one of its own, and the site's policy
// refuses inline styles. editor.css holds those rules; this stand-in, which is no HTML style
// element and so applies nothing, keeps the editor from trying.
const standIn = document.createElementNS("", "style");
standIn.setAttribute("data-tiptap-style", "");
document.head.append(standIn);
