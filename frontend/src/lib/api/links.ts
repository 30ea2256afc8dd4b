// Paging: a list that was cut names where it goes on.

/** The address of `rel="next"` in a Link header, as a path of this server. */
export function nextLink(header: string | null): string | null {
  for (const part of (header ?? '').split(/,\s*(?=<)/)) {
    const found = /^<([^>]*)>.*\brel="?next"?/.exec(part);
    if (found?.[1]) {
      const url = new URL(found[1], 'http://here');
      return url.pathname + url.search;
    }
  }
  return null;
}
