/** dht rm: removes objects; it is no error when one isn't there. */
import type { CommandContext } from './command-context.ts';
import { EXIT, usageFailure, type ExitCode } from './exit-code.ts';
import { NodeClient } from './node-client.ts';
import { printable } from './progress-bar.ts';

export async function remove(context: CommandContext): Promise<ExitCode> {
  const { args, deps } = context;
  if (args.positionals.length === 0) throw usageFailure('dht rm needs a NAME');
  const client = new NodeClient(context);
  for (const name of args.positionals) {
    await client.remove(name);
    deps.terminal.print(args.isJson ? `${JSON.stringify({ name, removed: true })}\n` : `${printable(name)}  removed\n`);
  }
  return EXIT.OK;
}
