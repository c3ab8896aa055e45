/** The Terminal door on this process. A reader that went away (`| head`) ends the program quietly, as elsewhere. */
import type { Terminal } from '../ports/terminal.ts';
import { onShutdownSignal } from './shutdown-signals.ts';

const COLUMNS_WHEN_UNKNOWN = 80;

export class ProcessTerminal implements Terminal {
  readonly isInteractive = process.stderr.isTTY;
  readonly columns = process.stderr.columns ?? COLUMNS_WHEN_UNKNOWN;

  constructor() {
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      process.exit(error.code === 'EPIPE' ? 0 : 1);
    });
  }

  print(content: string | Uint8Array): void {
    process.stdout.write(content);
  }

  note(text: string): void {
    process.stderr.write(text);
  }

  onStop(fn: () => void): void {
    onShutdownSignal(fn);
  }
}
