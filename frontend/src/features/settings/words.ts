// Small words of the settings. Pure.

/** The parts of a line of known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT), or of a .pub file, which is only a key. */
export function knownHostOf(text: string): {
  marker?: 'cert-authority' | 'revoked';
  hosts?: string;
  publicKey: string;
} {
  const words = text.trim().split(/\s+/);
  const key = (from: number) => words.slice(from, from + 2).join(' ');
  const marker = words[0] === '@cert-authority' ? 'cert-authority' : words[0] === '@revoked' ? 'revoked' : undefined;
  return marker ? { marker, hosts: words[1]?.split(',').join(', '), publicKey: key(2) } : { publicKey: key(0) };
}

const BROWSERS: [RegExp, string][] = [
  [/\bEdg(?:e|A|iOS)?\//, 'Edge'],
  [/\b(?:OPR|Opera)\//, 'Opera'],
  [/\b(?:Firefox|FxiOS)\//, 'Firefox'],
  [/\b(?:HeadlessChrome|Chrome|CriOS|Chromium)\//, 'Chrome'],
  [/\bSafari\//, 'Safari'],
];
const SYSTEMS: [RegExp, string][] = [
  [/iPhone|iPad/, 'iOS'],
  [/Android/, 'Android'],
  [/Windows/, 'Windows'],
  [/Macintosh|Mac OS X/, 'macOS'],
  [/Linux|X11/, 'Linux'],
];

/** A browser's long name for itself in two words, such as `Firefox on Linux`; what is none begins as it is. */
export function browserName(userAgent: string | null): string {
  if (!userAgent) return 'A program';
  const find = (names: [RegExp, string][]) => names.find(([pattern]) => pattern.test(userAgent))?.[1];
  const [browser, system] = [find(BROWSERS), find(SYSTEMS)];
  if (browser) return system ? `${browser} on ${system}` : browser;
  return userAgent.split(/[\s(]/)[0]?.slice(0, 40) || 'A program';
}
