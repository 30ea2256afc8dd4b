// Answers that `src/early.js` asked for while the code of the page was still on its way.

interface Early {
  /** By the browser's clock. */
  sentAt: number;
  response: Promise<Response>;
}

declare global {
  interface Window {
    missionControlEarly?: Map<string, Early>;
  }
}

/** What nobody took so long after it was asked for is not news any more. */
const FRESH_MS = 5_000;

/** The answer to a GET that was asked for early, once; null when there is none, or it is old. */
export function takeEarly(path: string): Early | null {
  const asked = window.missionControlEarly?.get(path);
  window.missionControlEarly?.delete(path);
  return asked && Date.now() - asked.sentAt < FRESH_MS ? asked : null;
}

/** Something was changed, who is signed in perhaps: what was asked before that is old. */
export function forgetEarly(): void {
  window.missionControlEarly?.clear();
}
