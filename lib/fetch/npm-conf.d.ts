// SPDX-License-Identifier: Apache-2.0
// The part of @pnpm/npm-conf that is used here; the package ships no types for its entry point.

declare module '@pnpm/npm-conf' {
  interface NpmConfig {
    /** A setting after builtin, global, user, project and environment have been merged. */
    get(key: string): unknown;
  }
  namespace npmConf {
    /** npm's own settings before any file or variable is read. */
    const defaults: { readonly registry: string };
  }
  function npmConf(options?: Readonly<Record<string, unknown>>): {
    readonly config: NpmConfig;
    readonly warnings: readonly string[];
  };
  export = npmConf;
}
