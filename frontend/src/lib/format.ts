// Numbers and moments as people say them. Pure; the locale decides only between 24 and 12 hours.

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A length of time in words: `12 ms`, `0.4 s`, `12 s`, `3 min 12 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(ms: number): string {
  if (ms <= 0) return '0 s';
  if (ms < 100) return `${Math.round(ms)} ms`;
  if (ms < 10 * SECOND) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return pair(ms, MINUTE, 'min', SECOND, 's');
  if (ms < DAY) return pair(ms, HOUR, 'h', MINUTE, 'min');
  return pair(ms, DAY, 'd', HOUR, 'h');
}

function pair(ms: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((ms % large) / small);
  return `${Math.floor(ms / large)} ${largeName}${rest ? ` ${rest} ${smallName}` : ''}`;
}

/** A running time that ticks without changing its width: `0:07`, `12:40`, `1:02:03`. */
export function stopwatch(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / SECOND));
  const two = (n: number) => String(n).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** An age in the one unit that matters: `now`, `12 s`, `4 min`, `3 h`, `2 d`. */
export function age(ms: number): string {
  if (ms < 2 * SECOND) return 'now';
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h`;
  return `${Math.floor(ms / DAY)} d`;
}

export function ago(ms: number): string {
  const text = age(ms);
  return text === 'now' ? 'just now' : `${text} ago`;
}

export const parseTime = (time: string | null | undefined): number | null => (time ? Date.parse(time) : null);

/** `14:03:12`. */
export function clockTime(at: number | string): string {
  const date = new Date(at);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((n) => String(n).padStart(2, '0')).join(':');
}

/** The full moment, for tooltips: `24 Nov 2026, 14:03:12`. */
export function fullTime(at: number | string): string {
  const date = new Date(at);
  const month = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'][date.getMonth()];
  return `${date.getDate()} ${month} ${date.getFullYear()}, ${clockTime(at)}`;
}

/** `512 B`, `3.4 kB`, `94 MB`. */
export function bytes(n: number): string {
  if (n < 1000) return `${n} B`;
  let value = n;
  let unit = '';
  for (unit of ['kB', 'MB', 'GB', 'TB']) {
    value /= 1000;
    if (value < 999.5) break;
  }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/** `12,345`. */
export function count(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** `1 task`, `3 tasks`. */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** A share of 0 to 1 as `42 %`. */
export const percent = (share: number): string => `${Math.round(share * 100)} %`;

const EXIT_WORDS: Record<number, string> = {
  126: 'the command is not executable',
  127: 'command not found',
  130: 'interrupted',
  137: 'killed, often for lack of memory',
  143: 'terminated',
};

/** How a command ended, in words: `exit 1`, `exit 127: command not found`, `killed by SIGKILL`. */
export function exitWords(exitCode: number | null, signal: string | null): string | null {
  if (signal) return `killed by ${signal.startsWith('SIG') ? signal : `SIG${signal}`}`;
  if (exitCode === null) return null;
  const words = EXIT_WORDS[exitCode];
  return words ? `exit ${exitCode}: ${words}` : `exit ${exitCode}`;
}

/** At most so many characters, and no half of one. */
export function cut(text: string, max: number): string {
  const characters = [...text];
  return characters.length > max ? `${characters.slice(0, max).join('')}…` : text;
}

/** The first line of a text that says something, for titles. */
export function firstLine(text: string): string {
  for (const line of text.split('\n', 50)) {
    const trimmed = line.trim();
    if (trimmed && !trimmed.startsWith('#!')) return trimmed;
  }
  return text.trim();
}
