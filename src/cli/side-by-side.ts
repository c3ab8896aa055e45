/**
 * Several transfers side by side: each item is handed to the next free turn. One that fails doesn't stop the others; the
 * command fails in the end as the first one did.
 */
import type { Terminal } from '../ports/terminal.ts';
import { CommandFailure } from './exit-code.ts';
import { printable } from './progress-bar.ts';

/** Enough to hide the round trips of small files; more would only share the same bandwidth. */
const AT_ONCE_MAX = 8;

/** Rejects with the only failure there was, or with how many there were after a note about each. */
export async function sideBySide<T>(terminal: Terminal, items: AsyncIterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const iterator = items[Symbol.asyncIterator]();
  let turn: Promise<unknown> = Promise.resolve();
  const failures: CommandFailure[] = [];
  let begunCount = 0;
  let toldCount = 0;
  /** A note about each failure, unless it is the only item: then the command itself says it. */
  const tell = (): void => {
    for (; begunCount > 1 && toldCount < failures.length; toldCount++) terminal.note(`dht: ${printable(failures[toldCount]?.message ?? '')}\n`);
  };
  const next = (): Promise<IteratorResult<T, unknown>> => {
    // One at a time asks for an item, so that the iterator needn't queue.
    const asked = turn.then(() => iterator.next());
    turn = asked.catch(() => undefined);
    return asked;
  };
  const worker = async (): Promise<void> => {
    for (let item = await next(); item.done !== true; item = await next()) {
      begunCount += 1;
      try {
        await work(item.value);
      } catch (error) {
        if (!(error instanceof CommandFailure)) throw error;
        failures.push(error);
      }
      tell();
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: AT_ONCE_MAX }, worker));
  const broken = ends.find((end) => end.status === 'rejected');
  if (broken !== undefined) throw broken.reason;
  const [first] = failures;
  if (first === undefined) return;
  if (begunCount === 1) throw first;
  throw new CommandFailure(first.exitCode, `${failures.length} of ${begunCount} failed`, first.code);
}
