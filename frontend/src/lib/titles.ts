// What a task is called: its title, or the first line of what was asked.
import { firstLine } from './format';

const SHOWN_MAX = 200;
/** Characters that fit in a line of the narrowest card. */
const LINE_MAX = 16;

export function titleOf(task: { title: string | null; content: string }): string {
  const title = task.title?.trim() || firstLine(task.content) || 'Untitled';
  return title.length > SHOWN_MAX ? `${title.slice(0, SHOWN_MAX)}…` : title;
}

export interface TitlePiece {
  text: string;
  /** An option or a name with hyphens, at which a line is not to be broken. */
  isUnbroken: boolean;
}

/** A title in pieces, which together are the title: a browser may break a line after any hyphen, as in `--env`. */
export function piecesOf(title: string): TitlePiece[] {
  return title
    .split(/(\S*-\S*)/)
    .map((text, index) => ({ text, isUnbroken: index % 2 === 1 && text.length <= LINE_MAX }))
    .filter(({ text }) => text !== '');
}
