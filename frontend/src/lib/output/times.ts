/** The time column of the output: off, since the run began, or by the clock. */
export type TimeMode = 'off' | 'relative' | 'absolute';

const NEXT: Record<TimeMode, TimeMode> = { off: 'relative', relative: 'absolute', absolute: 'off' };

export function nextMode(mode: TimeMode): TimeMode {
  return NEXT[mode];
}

const pad = (value: number, width: number) => `${value}`.padStart(width, '0');

/** `+0:01.204`, `+1:02:03.004`. */
export function sinceStart(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const head = hours > 0 ? `${hours}:${pad(minutes, 2)}` : `${minutes}`;
  return `+${head}:${pad(seconds % 60, 2)}.${pad(ms % 1000, 3)}`;
}

/** `14:03:12.345`, in the reader's time zone. */
export function byTheClock(ms: number, beganAtMs: number): string {
  const at = new Date(beganAtMs + ms);
  return `${pad(at.getHours(), 2)}:${pad(at.getMinutes(), 2)}:${pad(at.getSeconds(), 2)}.${pad(at.getMilliseconds(), 3)}`;
}

/** How the column is written, or null for none. Without a beginning there is no clock time. */
export function timeText(mode: TimeMode, beganAtMs: number | null): ((ms: number) => string) | null {
  if (mode === 'off') return null;
  return mode === 'absolute' && beganAtMs !== null ? (ms) => byTheClock(ms, beganAtMs) : sinceStart;
}
