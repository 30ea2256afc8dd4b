// Changes are applied once a frame: however many events arrive, the page is laid out once. Hidden tabs get no frames,
// so a timer serves them.

const waiting = new Set<() => void>();
let isScheduled = false;

function flush(): void {
  isScheduled = false;
  const callbacks = [...waiting];
  waiting.clear();
  for (const callback of callbacks) callback();
}

/** Calls back before the next frame; the same function asked for twice is called once. */
export function onNextFrame(callback: () => void): void {
  waiting.add(callback);
  if (isScheduled) return;
  isScheduled = true;
  if (document.visibilityState === 'visible') {
    // A tab hidden between asking and the frame would wait until it is shown again.
    let done = false;
    const once = () => {
      if (!done) {
        done = true;
        flush();
      }
    };
    requestAnimationFrame(once);
    setTimeout(once, 250);
  } else {
    setTimeout(flush, 100);
  }
}
