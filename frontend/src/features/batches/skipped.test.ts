import { expect, it } from 'vitest';
import { skippedWords } from './skipped';

it('what a batch passed over is said once for each reason, and not where nothing was to be done', () => {
  const skipped = [
    { taskId: 'a', code: 'desktop_not_running' },
    { taskId: 'b', code: 'nothing_to_do' },
    { taskId: 'c', code: 'desktop_not_running' },
    { taskId: 'd', code: 'task_not_pending' },
    { taskId: 'e', code: 'new_code' },
  ];
  expect(skippedWords(skipped, (id) => id.toUpperCase())).toEqual([
    'Passed over, since the desktop is not running: A, C',
    'Passed over, since new_code: E',
  ]);
});
