import { expect, test } from 'vitest';
import { changedFiles } from './changed-files';

const PATCH = '*** Begin Patch\n*** Update File: src/a.py\n@@\n-x\n+y\n*** Add File: b.md\n+hi\n*** End Patch';
const DIFF = '--- a/src/a.py\n+++ b/src/a.py\n@@ -1 +1 @@\n-x\n+y\n--- a/old\n+++ /dev/null\n';

test.each([
  ['write_file', { path: 'a.txt', content: 'hi' }, ['a.txt']],
  ['MultiEdit', { file_path: '/srv/a.py', edits: [] }, ['/srv/a.py']],
  ['str_replace_based_edit_tool', { command: 'create', path: 'b.py' }, ['b.py']],
  ['apply_patch', { input: PATCH }, ['src/a.py', 'b.md']],
  ['shell', { command: ['apply_patch', PATCH] }, ['src/a.py', 'b.md']],
  ['apply_patch', { patch: DIFF }, ['src/a.py']],
])('%s says what it changes', (name, input, files) => {
  expect(changedFiles(name, JSON.stringify(input))).toEqual(files);
});

test.each([
  ['read_file', { path: 'a.txt' }],
  ['str_replace_based_edit_tool', { command: 'view', path: 'a.txt' }],
  ['TodoWrite', { todos: ['write a.txt'] }],
  ['credit_check', { path: 'a.txt' }],
  ['shell', { command: 'cat a.txt' }],
])('%s changes nothing that it names', (name, input) => {
  expect(changedFiles(name, JSON.stringify(input))).toEqual([]);
});

test('what is no JSON may be a patch', () => {
  expect(changedFiles('apply_patch', PATCH)).toEqual(['src/a.py', 'b.md']);
  expect(changedFiles('edit', '{"path": "cut of')).toEqual([]);
});
