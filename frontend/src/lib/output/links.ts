/**
 * What is looked at in an output, as its address says it: lines (`#L120`, `#L120-L140`, numbered as shown, from 1 on),
 * and what is looked for (`?find=TEXT`, with `regex=1`, `case=1`, and `context=2` where only lines that match are shown).
 */
import { TEXT_MAX } from '../router';
import { CONTEXTS, type Finding } from './find';
import type { Marked } from './rows';

export function marksOf(hash: string): Marked | null {
  const match = /^#L(\d{1,9})(?:-L?(\d{1,9}))?$/.exec(hash);
  if (!match) return null;
  const first = Number(match[1]) - 1;
  const last = Number(match[2] ?? match[1]) - 1;
  return first < 0 || last < 0 ? null : { from: Math.min(first, last), to: Math.max(first, last) };
}

export function hashOf(marked: Marked | null): string {
  if (marked === null) return '';
  return marked.from === marked.to ? `#L${marked.from + 1}` : `#L${marked.from + 1}-L${marked.to + 1}`;
}

/** What is looked for, or null for nothing. */
export function findingOf(params: URLSearchParams): Finding | null {
  const text = params.get('find') ?? '';
  if (text === '' || text.length > TEXT_MAX) return null;
  return {
    text,
    isRegex: params.get('regex') === '1',
    matchCase: params.get('case') === '1',
    context: CONTEXTS.find((lines) => params.get('context') === `${lines}`) ?? null,
  };
}

/** The parameters that say what is looked for. A text that is too long for an address is in none. */
export function paramsOf(finding: Finding | null): Record<'find' | 'regex' | 'case' | 'context', string | null> {
  if (finding === null || finding.text === '' || finding.text.length > TEXT_MAX) {
    return { find: null, regex: null, case: null, context: null };
  }
  const { text, isRegex, matchCase, context } = finding;
  return {
    find: text,
    regex: isRegex ? '1' : null,
    case: matchCase ? '1' : null,
    context: context === null ? null : `${context}`,
  };
}
