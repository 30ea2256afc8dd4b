import { expect, test } from 'vitest';
import { boundsOf, type Call, callsOf, curlOf, type Description, fieldsOf, isFound, typeWords } from './description';

const problem = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
const description: Description = {
  info: { title: 'Mission Control', version: '1' },
  paths: {
    '/api/tasks/{id}/run': {
      post: {
        operationId: 'runTask',
        summary: 'Run a task.',
        description: 'It `waits` where its desktop is full.\n\nNeeds the role operator.',
        tags: ['tasks'],
        parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }],
        requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Run' } } } },
        responses: {
          '200': { description: 'As asked for.', content: { 'application/json': { schema: { type: 'object' } } } },
          '409': { description: '`task_not_pending`: The task is running.\n`no_place`: Full.', content: problem },
        },
      },
    },
  },
  components: {
    schemas: {
      Run: {
        type: 'object',
        required: ['kind', 'times'],
        properties: {
          kind: { enum: ['fast', 'slow'] },
          times: { type: 'integer', minimum: 1, maximum: 9 },
          note: { anyOf: [{ type: 'string', maxLength: 80 }, { type: 'null' }], default: null },
        },
      },
    },
  },
  'x-error-codes': {},
};
const [call] = callsOf(description) as [Call];

test('a call says what it is about, who may, and each of its errors by its code', () => {
  expect([call.method, call.about, call.notes.at(-1)]).toEqual(['POST', 'tasks', 'Needs the role operator.']);
  expect(call.errors).toEqual([
    { status: '409', code: 'task_not_pending', detail: 'The task is running.' },
    { status: '409', code: 'no_place', detail: 'Full.' },
  ]);
});

test('its example is what one types, with what is needed and nothing else', () => {
  expect(curlOf(call, description, 'http://here')).toBe(
    `curl -s -X POST 'http://here/api/tasks/<id>/run' -H "x-api-key: $KEY" ` +
      `-H "content-type: application/json" -d '{"kind": "fast", "times": 1}'`,
  );
});

test('types and bounds are words', () => {
  const fields = fieldsOf({ type: 'array', items: { $ref: '#/components/schemas/Run' } }, description);
  expect(fields.map(([name, of, isNeeded]) => [name, typeWords(of), boundsOf(of), isNeeded])).toEqual([
    ['kind', '"fast" or "slow"', '', true],
    ['times', 'whole number', '1 to 9', true],
    ['note', 'text or null', 'at most 80 characters', false],
  ]);
  expect(typeWords({ type: 'array', items: { $ref: '#/components/schemas/Run' } })).toBe('list of Run');
});

test('a call is found by any of its words: path, code, description', () => {
  expect(['tasks run', 'NO_PLACE', 'waits full'].map((words) => isFound(call, words))).toEqual([true, true, true]);
  expect(isFound(call, 'tasks desktop_gone')).toBe(false);
});
