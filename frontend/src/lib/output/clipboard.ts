/** Putting text on the clipboard, also where the page has no right to (plain http on another machine). */

/** Copy now. False when this browser does not let the page. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/**
 * Copy what is still to come: the right to copy is given by the click, not when the text is there. Throws what `text`
 * fails with; false when this browser takes text only at once.
 */
export async function copyTextLater(text: Promise<string>): Promise<boolean> {
  const whenItCame = text.then((text) => new Blob([text], { type: 'text/plain' }));
  if (navigator.clipboard !== undefined && typeof ClipboardItem !== 'undefined') {
    try {
      await navigator.clipboard.write([new ClipboardItem({ 'text/plain': whenItCame })]);
      return true;
    } catch {
      // Not allowed, or the text did not come: the next line tells which.
    }
  }
  return copyBySelection(await text);
}

/** The old way: a selected field and the copy command. It works only soon after a click. */
function copyBySelection(text: string): boolean {
  const before = document.activeElement;
  const field = document.createElement('textarea');
  field.value = text;
  field.style.position = 'fixed';
  document.body.append(field);
  field.select();
  try {
    return document.execCommand('copy');
  } finally {
    field.remove();
    if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  }
}
