/** Which files an agent changed, as far as the uses of its tools name them. */

/** Of a tool: whether it writes. `write_file`, `MultiEdit`, `str_replace_based_edit_tool`, `apply_patch`, … */
const WRITES = /(?:^|[^a-z])(?:write|edit|create|patch|replace|insert|append|delete|remove|rename|move)(?![a-z])/i;
const PATHS = ['path', 'file', 'file_path', 'filePath', 'filename', 'file_name', 'target_file', 'notebook_path'];
/** `*** Update File: a.py` and `+++ b/a.py` */
const PATCHED = /^(?:\*\*\* (?:Add|Update|Delete) File: |\+\+\+ (?:b\/)?)(.+?)\s*$/gm;
const PATCH_BEGINS = '*** Begin Patch';

/** Paths that one use of a tool changes; none where it only looks, or does not say. */
export function changedFiles(name: string, input: string): string[] {
  const words = name.replace(/([a-z])([A-Z])/g, '$1_$2');
  const isPatch = input.includes(PATCH_BEGINS);
  if (!isPatch && !WRITES.test(words)) return [];
  const fields = fieldsOf(input);
  if (fields.command === 'view') return []; // one tool of several uses, which are named so
  const named = PATHS.map((field) => fields[field]).filter((value) => typeof value === 'string' && value !== '');
  if (named.length > 0) return named as string[];
  const patched = textsIn(fields).flatMap((text) => [...text.matchAll(PATCHED)].map(([, path]) => path as string));
  return [...new Set(patched)].filter((path) => path !== '/dev/null');
}

function fieldsOf(input: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(input);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : { input: value };
  } catch {
    return { input };
  }
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}
