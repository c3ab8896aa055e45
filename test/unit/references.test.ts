/** What the comments of the source cite stands in docs/references.md, and what stands there is cited. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';

const ROOT = path.resolve(import.meta.dirname, '../..');
const COMMENT = /\/\*\*[\s\S]*?\*\//g;
const KEY = /\[([A-Z][^\]]*)\]/g;

/** Keys after "Source:" in the comments of one file. */
function citedIn(text: string): string[] {
  return [...text.matchAll(COMMENT)].flatMap(([comment]) => {
    const from = comment.indexOf('Source:');
    return from < 0 ? [] : [...comment.slice(from).matchAll(KEY)].map(([, key]) => key as string);
  });
}

const filesOf = (folder: string, ending: string): string[] => readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith(ending))
  .map((file) => readFileSync(path.join(ROOT, folder, file), 'utf8'));

const sources = ['src', 'test', 'loadtest'].flatMap((folder) => filesOf(folder, '.ts'));
const documents = filesOf('docs', '.md');
const listed = readFileSync(path.join(ROOT, 'docs/references.md'), 'utf8').split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| key '))
  .map((line) => (line.split('|')[1] as string).split(',').map((key) => key.trim()));

describe('the references', () => {
  test('have every source that a comment cites', () => {
    const cited = new Set(sources.flatMap(citedIn));
    expect(cited.size).toBeGreaterThan(30);
    const known = new Set(listed.flat());
    expect([...cited].filter((key) => !known.has(key))).toEqual([]);
  });

  test('have no source that nobody cites', () => {
    const all = [...sources, ...documents].join('\n');
    expect(listed.filter((keys) => !keys.some((key) => all.includes(`[${key}]`)))).toEqual([]);
  });
});
