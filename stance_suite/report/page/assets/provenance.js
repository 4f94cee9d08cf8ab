"use strict";
{
  const commands = document.getElementById("reproduce-commands");
  const button = document.getElementById("copy-commands");

  /** A page opened from a disk may be refused the clipboard; then the text is selected, ready for the keyboard. */
  const copy = async () => {
    const status = document.getElementById("copy-status");
    try {
      await navigator.clipboard.writeText(commands.textContent);
      status.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(commands);
      status.textContent = "Selected: press Ctrl+C or ⌘C to copy.";
    }
  };
  button?.addEventListener("click", copy);
}
