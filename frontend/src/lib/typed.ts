// What people type into fields, read; and written so that it reads the same again. Pure.

/** What is typed with commas or on lines of its own: each once, without blanks around. */
export function wordsOf(text: string): string[] {
  return [...new Set(text.split(/[,\n]/).map((word) => word.trim()))].filter(Boolean);
}

/** A variable as a .env file has it: the rest of the line, or several lines in double quotes. */
const VARIABLE = /[ \t]*([A-Za-z_][A-Za-z0-9_]*)=(?:"((?:[^"\\]|\\[\s\S])*)"[ \t]*(?=\n|$)|(.*))(?:\n|$)/y;

/** Variables by name, and the first line that is none. */
export function variablesOf(text: string): { variables: Record<string, string>; wrong: string | null } {
  const variables: Record<string, string> = {};
  let wrong: string | null = null;
  for (let at = 0; at < text.length; ) {
    VARIABLE.lastIndex = at;
    const found = VARIABLE.exec(text);
    if (found) {
      const [whole, name = '', quoted, plain = ''] = found;
      variables[name] = quoted?.replace(/\\(["\\])/g, '$1') ?? plain;
      at += whole.length;
    } else {
      const end = text.indexOf('\n', at);
      const line = text.slice(at, end < 0 ? undefined : end);
      if (line.trim()) wrong ??= line.trim();
      at += line.length + 1;
    }
  }
  return { variables, wrong };
}

export function variablesText(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => `${name}=${/\n|^"/.test(value) ? `"${value.replace(/["\\]/g, '\\$&')}"` : value}`)
    .join('\n');
}
