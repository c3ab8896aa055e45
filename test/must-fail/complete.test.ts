/** The table in README.md names every switch there is, and each where it is really switched off. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { ALL_RULES } from '../../src/domain/rules.ts';
import { ALL_LAYOUT_RULES } from '../../src/sim/kernels/layout-kernel-rules.ts';

const ROOT = path.resolve(import.meta.dirname, '..');

interface Row {
  readonly rule: string;
  readonly switchName: string;
  readonly tests: readonly string[];
}

const ROWS: readonly Row[] = readFileSync(path.join(import.meta.dirname, 'README.md'), 'utf8').split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| rule '))
  .map((line) => {
    const [rule = '', , switchName = '', , tests = ''] = line.split('|').slice(1).map((cell) => cell.trim());
    return { rule, switchName: switchName.replaceAll('`', ''), tests: tests.split(',').map((name) => name.trim().replaceAll('`', '')) };
  });

const FILES = new Map(['must-fail', 'swarm'].flatMap((folder) => readdirSync(path.join(ROOT, folder))
  .filter((name) => name.endsWith('.test.ts'))
  .map((name): [string, string] => [name.replace('.test.ts', ''), readFileSync(path.join(ROOT, folder, name), 'utf8')])));

/** Rules with a number, or the word "directed", in the trials of the design. */
const NUMBERED = ['(1)', '(2)', '(5)', '(6)', '(7)', '(8)', '(9)', '(10)', 'R1', 'R2', 'R5', 'R6', 'R7', 'R8', 'R9', 'R10', 'R11', 'R12', 'R13', 'R14', 'R15', 'R16'];

test('every switch has a row, and no row has a switch that isn\'t there', () => {
  const switches = [...Object.keys(ALL_RULES), ...Object.keys(ALL_LAYOUT_RULES), 'isEpochInBallot'];
  expect([...new Set(ROWS.map((row) => row.switchName))].sort()).toEqual([...new Set(switches)].sort());
});

test('every rule that was counted in the design\'s trials has a row', () => {
  expect(NUMBERED.filter((rule) => !ROWS.some((row) => row.rule.startsWith(`${rule} `)))).toEqual([]);
});

test.each(ROWS.flatMap(({ rule, switchName, tests }) => tests.map((name): [string, string, string] => [switchName, name, rule])))('%s is switched off in %s: %s', (switchName, name) => {
  const source = FILES.get(name) ?? '';
  expect(source.includes(`'${switchName}'`) || source.includes(`{ ${switchName}: `) || source.includes(`${switchName}: false`)).toBe(true);
});
