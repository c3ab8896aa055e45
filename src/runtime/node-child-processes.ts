/** The ChildProcesses door on Node. A child keeps running when this process dies by force; its ports tell. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { ChildEnd, ChildProcess, ChildProcesses, ChildProcessOptions } from '../ports/child-processes.ts';

export class NodeChildProcesses implements ChildProcesses {
  start({ command, args, environment, outputFile }: ChildProcessOptions): ChildProcess {
    const output = openSync(outputFile, 'a');
    const child = spawn(command, args, { env: environment, stdio: ['ignore', output, output] });
    closeSync(output);
    const ended = new Promise<ChildEnd>((resolve) => {
      child.once('error', (error) => resolve(`could not be started: ${error.message}`));
      child.once('exit', (code, signal) => resolve(signal ?? `exit code ${String(code)}`));
    });
    return { pid: child.pid ?? null, ended, signal: (name) => void child.kill(name) };
  }
}
