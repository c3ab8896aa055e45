/**
 * dht completion: a script that lets a shell complete commands and flags. It is made of the same table that parses them,
 * so it can't know a flag that isn't there. Names of files complete as usual; `dht node` has the flags of its settings.
 */
import type { CommandFlags } from './command-context.ts';
import { COMMON_FLAGS } from './command-context.ts';
import { usageFailure } from './exit-code.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

/** A command and its flags, without the dashes. */
export interface CompletedCommand {
  readonly name: string;
  readonly flags: readonly string[];
}

/** The flags that a command takes; those with one letter are left out: they need no completion. */
export function flagsOf({ values, switches = [], canRecurse = false }: CommandFlags): readonly string[] {
  return [...new Set([...COMMON_FLAGS, ...values, ...switches, ...(canRecurse ? ['recursive'] : []), 'json', 'help'])].sort();
}

export function completionScript(shell: string | undefined, commands: readonly CompletedCommand[]): string {
  const sorted = [...commands].sort((a, b) => (a.name < b.name ? -1 : 1));
  switch (SHELLS.find((one) => one === shell) satisfies Shell | undefined) {
    case 'bash': return bash(sorted);
    case 'zsh': return zsh(sorted);
    case 'fish': return fish(sorted);
    case undefined: throw usageFailure(`dht completion needs one of ${SHELLS.join(', ')}`);
  }
}

const words = (flags: readonly string[]): string => flags.map((flag) => `--${flag}`).join(' ');

function bash(commands: readonly CompletedCommand[]): string {
  return `# dht completion bash: put "source <(dht completion bash)" into ~/.bashrc
_dht() {
  local word="\${COMP_WORDS[COMP_CWORD]}" flags=""
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')}" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${commands.map(({ name, flags }) => `    ${name}) flags="${words(flags)}" ;;`).join('\n')}
  esac
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$word")) ;;
  esac
}
complete -o default -F _dht dht
`;
}

function zsh(commands: readonly CompletedCommand[]): string {
  return `#compdef dht
# dht completion zsh: put "source <(dht completion zsh)" into ~/.zshrc, behind compinit
_dht() {
  local -a flags
  if (( CURRENT == 2 )); then
    compadd -- ${commands.map(({ name }) => name).join(' ')}
    return
  fi
  case "\${words[2]}" in
${commands.map(({ name, flags }) => `    ${name}) flags=(${words(flags)}) ;;`).join('\n')}
  esac
  if [[ "\${words[CURRENT]}" == -* ]]; then
    compadd -- "\${flags[@]}"
  else
    _files
  fi
}
compdef _dht dht
`;
}

function fish(commands: readonly CompletedCommand[]): string {
  const lines = commands.flatMap(({ name, flags }) => [
    `complete -c dht -n __fish_use_subcommand -f -a ${name}`,
    ...flags.map((flag) => `complete -c dht -n "__fish_seen_subcommand_from ${name}" -l ${flag}`),
  ]);
  return `# dht completion fish: dht completion fish > ~/.config/fish/completions/dht.fish\n${lines.join('\n')}\n`;
}
