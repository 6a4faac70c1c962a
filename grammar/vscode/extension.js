// Starts `onepath lsp` for `.space` files and speaks to it; all the rest is in the server.

"use strict";

const { window, workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

exports.activate = async function activate() {
  const [command, ...args] = workspace.getConfiguration("onepath").get("command");
  client = new LanguageClient(
    "onepath",
    "Onepath space",
    { command, args },
    {
      documentSelector: [{ language: "space" }],
      synchronize: { fileEvents: workspace.createFileSystemWatcher("**/*.space") },
    },
  );
  try {
    await client.start();
  } catch (problem) {
    window.showErrorMessage(`${command} does not start: ${problem.message}; see the setting onepath.command.`);
  }
};

exports.deactivate = () => client && client.stop();
