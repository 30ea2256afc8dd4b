// What scrolls can be scrolled by keys, too: it takes the focus, but only while there is something to scroll.

/** Attach to whatever may overflow and holds nothing that takes the focus itself. */
export function scrollable(element: HTMLElement): () => void {
  const look = () => {
    const overflows = element.scrollHeight > element.clientHeight || element.scrollWidth > element.clientWidth;
    if (overflows) element.tabIndex = 0;
    else element.removeAttribute('tabindex');
  };
  const observer = new ResizeObserver(look);
  observer.observe(element);
  for (const child of element.children) observer.observe(child);
  return () => observer.disconnect();
}
