import manifest from '../package.json' with { type: 'json' };

/** The version, and the commit where that is known: what this app calls itself towards those who watch it. */
export const release = (commit: string | undefined): string =>
  commit === undefined ? manifest.version : `${manifest.version}+${commit}`;
