import { describe, expect, test } from '@jest/globals';
import { Ajv, type ValidateFunction } from 'ajv';
import path from 'node:path';
import { CHART, ciValues, readText, values } from './chart-files.ts';
import { documentedValues, withTable } from './chart-readme.ts';

const schema = JSON.parse(readText(path.join(CHART, 'values.schema.json'))) as object;
const validate: ValidateFunction = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true }).compile(schema);
const defaults = values('values.yaml') as Record<string, unknown>;

test('the defaults and every set of values in ci/ are valid', () => {
  expect(validate(defaults)).toBe(true);
  expect(ciValues().length).toBeGreaterThan(2);
  for (const file of ciValues()) {
    validate(values(file));
    expect([file, validate.errors ?? []]).toEqual([file, []]);
  }
});

describe('refused are', () => {
  test.each<[string, object]>([
    ['a misspelt key', { replicas: 3 }],
    ['a misspelt key inside', { gateway: { service: { prot: 80 } } }],
    ['a negative number of replicas', { replicaCount: -1 }],
    ['replicas as text', { replicaCount: '3' }],
    ['a port out of range', { gateway: { port: 70_000 } }],
    ['an unknown leave policy', { shutdown: { leavePolicy: 'maybe' } }],
    ['a size without a number', { persistence: { size: 'large' } }],
    ['shared volumes', { persistence: { accessModes: ['ReadWriteMany'] } }],
    ['a digest that is none', { image: { digest: 'latest' } }],
    ['a setting that is none of the node', { config: { LOG_LEVEL: 'debug' } }],
    ['more copies than a ring keeps', { cluster: { replicationFactor: 10 } }],
  ])('%s', (_what, bad) => {
    expect(validate(bad)).toBe(false);
  });
});

test('values of a parent chart are admitted: global, and the condition enabled', () => {
  expect(validate({ global: { anything: 1 }, enabled: true })).toBe(true);
});

test('every key of the values is documented, and the README has them all', () => {
  expect(documentedValues().filter(({ help }) => help === null)).toEqual([]);
  const readme = readText(path.join(CHART, 'README.md'));
  expect(withTable(readme)).toBe(readme);
});

test('the schema knows every key of the values', () => {
  type Node = { readonly properties?: Readonly<Record<string, Node>>; readonly additionalProperties?: unknown };
  const missing = (value: unknown, node: Node, at: string): string[] => (node.properties === undefined || typeof value !== 'object' || value === null ? [] : Object.entries(value)
    .flatMap(([key, field]) => { const next = node.properties?.[key]; return next === undefined ? [`${at}${key}`] : missing(field, next, `${at}${key}.`); }));
  expect(missing(defaults, schema as Node, '')).toEqual([]);
});
