// The visitor's own time zone, asked of the browser only when they press the button for it.
// Without JavaScript the list of zones does the same.
const button = document.getElementById("device-zone");
if (button) {
  const form = button.form;
  button.hidden = false;
  button.addEventListener("click", () => {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (!zone) return;
    const select = form.elements.zone;
    if (![...select.options].some((option) => option.value === zone)) {
      select.add(new Option(zone, zone));
    }
    select.value = zone;
    form.submit();
  });
}
