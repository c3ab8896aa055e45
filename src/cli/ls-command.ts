/** dht ls: the names that begin with a prefix, over the whole ring, page by page as they come. */
import { compareNames } from '../domain/name-order.ts';
import type { CommandContext, CommandFlags } from './command-context.ts';
import { EXIT, usageFailure, type ExitCode } from './exit-code.ts';
import { JsonOutput } from './json-output.ts';
import { NodeClient, type ListPageJson } from './node-client.ts';
import { bytesText, printable } from './progress-bar.ts';

export const LS_FLAGS: CommandFlags = { values: ['delimiter'] };

/** Columns of `1023.9 KiB` and of a time. */
const SIZE_WIDTH = 10;
const TIME_WIDTH = 20;

type Row = ListPageJson['objects'][number] | { readonly prefix: string };

export async function list(context: CommandContext): Promise<ExitCode> {
  const { args, deps: { terminal } } = context;
  const [prefix = '', more] = args.positionals;
  if (more !== undefined) throw usageFailure('dht ls takes one PREFIX');
  const delimiter = args.value('delimiter');
  if (delimiter === '') throw usageFailure('--delimiter is empty');
  const json = args.isJson ? new JsonOutput((text) => { terminal.print(text); }, 'array') : null;
  try {
    for await (const page of new NodeClient(context).list(prefix, delimiter)) {
      for (const row of rowsOf(page)) {
        if (json === null) terminal.print(rowText(row));
        else json.add(row);
      }
    }
  } finally {
    json?.end();
  }
  return EXIT.OK;
}

/** Objects and common prefixes in the order of names. */
function rowsOf({ objects, commonPrefixes }: ListPageJson): readonly Row[] {
  return [...objects, ...commonPrefixes.map((prefix) => ({ prefix }))].sort((a, b) => compareNames(nameOf(a), nameOf(b)));
}

function nameOf(row: Row): string {
  return 'prefix' in row ? row.prefix : row.name;
}

function rowText(row: Row): string {
  const [size, time] = 'prefix' in row ? ['', ''] : [bytesText(row.size), `${row.modified.slice(0, 19)}Z`];
  return `${size.padStart(SIZE_WIDTH)}  ${time.padEnd(TIME_WIDTH)}  ${printable(nameOf(row))}\n`;
}
