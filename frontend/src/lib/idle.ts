/** Without an idle callback, as in Safari: by then a page has drawn what it has. */
const WITHOUT_IDLE_MS = 2_000;

/** Calls when the page has nothing else to do, at the latest after `timeout` ms if given. Returns how to call it off. */
export function onIdle(callback: () => void, timeout?: number): () => void {
  if (!('requestIdleCallback' in window)) {
    const timer = setTimeout(callback, timeout ?? WITHOUT_IDLE_MS);
    return () => clearTimeout(timer);
  }
  const idle = requestIdleCallback(callback, { timeout });
  return () => cancelIdleCallback(idle);
}
