// What a task is called: its title, or the first line of what was asked.
import { firstLine } from './format';

const SHOWN_MAX = 200;

export function titleOf(task: { title: string | null; content: string }): string {
  const title = task.title?.trim() || firstLine(task.content) || 'Untitled';
  return title.length > SHOWN_MAX ? `${title.slice(0, SHOWN_MAX)}…` : title;
}
