/**
 * The chart's README: its table of values is made of the comments in values.yaml, one line a key.
 * `node test/chart/chart-readme.ts` writes it; a test holds it against the values.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { isMap, isScalar, parseDocument, type Node, type Pair, type YAMLMap } from 'yaml';
import { CHART, readText } from './chart-files.ts';

const BEGIN = '<!-- values: begin -->';
const END = '<!-- values: end -->';

export interface DocumentedValue {
  readonly key: string;
  readonly default: string;
  /** Null: its comment is missing. */
  readonly help: string | null;
}

/** Every key whose comment begins with `# --`, or that is no map of further keys. */
export function documentedValues(): readonly DocumentedValue[] {
  const root = parseDocument(readText(path.join(CHART, 'values.yaml'))).contents;
  return isMap(root) ? valuesOf(root, '') : [];
}

function valuesOf(map: YAMLMap, prefix: string): DocumentedValue[] {
  return map.items.flatMap((pair, i) => {
    const { key, value } = pair as Pair<Node, Node | null>;
    const name = `${prefix}${isScalar(key) ? String(key.value) : ''}`;
    // The parser gives the comment before the first key of a map to the map.
    const comment = key.commentBefore ?? (i === 0 ? map.commentBefore : null) ?? null;
    const help = helpIn(comment);
    if (help === null && isMap(value) && value.items.length > 0) return valuesOf(value, `${name}.`);
    return [{ key: name, default: JSON.stringify(value?.toJSON() ?? null), help }];
  });
}

function helpIn(comment: string | null): string | null {
  const lines = (comment ?? '').split('\n').map((line) => line.trim());
  const begin = lines.findLastIndex((line) => line.startsWith('-- '));
  return begin < 0 ? null : lines.slice(begin).join(' ').slice('-- '.length);
}

export function withTable(readme: string): string {
  const rows = documentedValues().map(({ key, default: text, help }) => `| \`${key}\` | \`${text.replaceAll('|', '\\|')}\` | ${help ?? ''} |`);
  const table = ['| key | default | what it does |', '|---|---|---|', ...rows].join('\n');
  return `${readme.slice(0, readme.indexOf(BEGIN) + BEGIN.length)}\n${table}\n${readme.slice(readme.indexOf(END))}`;
}

if (process.argv[1] === import.meta.filename) {
  const file = path.join(CHART, 'README.md');
  writeFileSync(file, withTable(readText(file)));
}
