"""The server: which request is answered by what. The only module that needs pygls running."""

from __future__ import annotations

import asyncio
import logging
from importlib.metadata import version
from typing import Protocol

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from dsl.rename import CannotRename
from runtime.lsp import completion, navigation, symbols
from runtime.lsp.diagnostics import published
from runtime.lsp.documents import Documents, path_of
from runtime.lsp.hover import hover
from runtime.lsp.positions import Lines, lines_of

PAUSE = 0.15
"""Seconds without a change after which findings are sent: a burst of typing is looked at once."""
_REQUEST_FAILED = -32803
"""The protocol's code for a request that is sound and cannot be done; the client shows its message."""


class At(Protocol):
    """A request about a place of a text."""

    @property
    def text_document(self) -> types.TextDocumentIdentifier: ...

    @property
    def position(self) -> types.Position: ...


class SpaceServer(LanguageServer):
    """A language server with the documents that it knows."""

    def __init__(self) -> None:
        # Whole texts at each change: they are small, and pygls cuts lines at more characters than the protocol does.
        super().__init__(
            "onepath", version("onepath"), text_document_sync_kind=types.TextDocumentSyncKind.Full
        )
        self.documents = Documents()
        self.was_shut_down = False
        self._waiting: dict[str, asyncio.TimerHandle] = {}

    @property
    def encoding(self) -> str:
        """The encoding that columns are counted in."""
        return str(getattr(self.workspace.position_encoding, "value", self.workspace.position_encoding))

    def lines(self, path: str) -> Lines:
        """The lines of an open text."""
        return lines_of(self.documents.opened[path].source, self.encoding)

    def place(self, params: At) -> tuple[str, int]:
        """The path and the offset that a request is about.

        Raises:
            JsonRpcException: the text is not open.
        """
        path = self.opened(params.text_document.uri)
        return path, self.lines(path).offset(params.position)

    def opened(self, uri: str) -> str:
        """The path of an open text.

        Raises:
            JsonRpcException: it is not open.
        """
        path = path_of(uri)
        if path not in self.documents.opened:
            raise JsonRpcException(f"{uri} is not open", _REQUEST_FAILED)
        return path

    def changed(self, path: str) -> None:
        """Send findings of a file, and of those that use it, once nothing changes for a moment."""
        for each in self.documents.dependents(path):
            if each in self._waiting:
                self._waiting[each].cancel()
            self._waiting[each] = asyncio.get_running_loop().call_later(PAUSE, self.publish, each)

    def publish(self, path: str) -> None:
        """Send the findings of an open text."""
        self._waiting.pop(path, None)
        opened = self.documents.opened.get(path)
        if opened is None:
            return
        self.documents.last_sound(path)
        found = published(self.documents, path, self.encoding)
        self.text_document_publish_diagnostics(
            types.PublishDiagnosticsParams(opened.uri, found, opened.version)
        )


def make_server() -> SpaceServer:
    """A server with every request that it answers; `start_io` or `start_tcp` runs it."""
    # They write tracebacks on standard error: of refused requests, whose message the client has, and of the
    # `SystemExit` that ends a session over TCP.
    for name in ("pygls", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    server = SpaceServer()
    for method, handler, options in _HANDLERS:
        server.feature(method, options)(handler)
    return server


def _initialize(server: SpaceServer, params: types.InitializeParams) -> None:
    folders = [each.uri for each in params.workspace_folders or ()]
    uris = folders or ([params.root_uri] if params.root_uri else [])
    server.documents.roots = [path_of(uri) for uri in uris if uri.startswith("file:")]


def _shutdown(server: SpaceServer, params: None) -> None:
    server.was_shut_down = True


def _did_open(server: SpaceServer, params: types.DidOpenTextDocumentParams) -> None:
    opened = params.text_document
    server.changed(server.documents.put(opened.uri, opened.version, opened.text))


def _did_change(server: SpaceServer, params: types.DidChangeTextDocumentParams) -> None:
    document = params.text_document
    text = params.content_changes[-1].text if params.content_changes else None
    if text is not None:
        server.changed(server.documents.put(document.uri, document.version, text))


def _did_close(server: SpaceServer, params: types.DidCloseTextDocumentParams) -> None:
    uri = params.text_document.uri
    path = server.documents.close(uri)
    server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))
    server.changed(path)


def _did_change_files(server: SpaceServer, params: types.DidChangeWatchedFilesParams) -> None:
    server.documents.forget()
    for change in params.changes:
        server.changed(path_of(change.uri))


def _did_save(server: SpaceServer, params: types.DidSaveTextDocumentParams) -> None:
    """Files on the disk may have changed with it where the client watches none."""
    server.documents.forget()
    server.changed(path_of(params.text_document.uri))


def _hover(server: SpaceServer, params: types.HoverParams) -> types.Hover | None:
    path, offset = server.place(params)
    found = hover(server.documents, path, offset)
    if found is None:
        return None
    content = types.MarkupContent(types.MarkupKind.Markdown, found.text)
    return types.Hover(content, server.lines(path).range(found.span))


def _completion(server: SpaceServer, params: types.CompletionParams) -> types.CompletionList:
    path, offset = server.place(params)
    return types.CompletionList(False, completion.completions(server.documents, path, offset))


def _signature_help(server: SpaceServer, params: types.SignatureHelpParams) -> types.SignatureHelp | None:
    return completion.signature_help(server.documents, *server.place(params))


def _definition(server: SpaceServer, params: types.DefinitionParams) -> types.Location | None:
    return navigation.definition(server.documents, *server.place(params), server.encoding)


def _references(server: SpaceServer, params: types.ReferenceParams) -> list[types.Location]:
    declaration = params.context.include_declaration
    return navigation.references(server.documents, *server.place(params), server.encoding, declaration)


def _highlight(server: SpaceServer, params: types.DocumentHighlightParams) -> list[types.DocumentHighlight]:
    return navigation.highlights(server.documents, *server.place(params), server.encoding)


def _prepare_rename(server: SpaceServer, params: types.PrepareRenameParams) -> types.PrepareRenamePlaceholder:
    try:
        return navigation.prepare(server.documents, *server.place(params), server.encoding)
    except CannotRename as reason:
        raise JsonRpcException(str(reason), _REQUEST_FAILED) from None


def _rename(server: SpaceServer, params: types.RenameParams) -> types.WorkspaceEdit:
    path, offset = server.place(params)
    try:
        return navigation.renamed(server.documents, path, offset, params.new_name, server.encoding)
    except CannotRename as reason:
        raise JsonRpcException(str(reason), _REQUEST_FAILED) from None


def _formatting(server: SpaceServer, params: types.DocumentFormattingParams) -> list[types.TextEdit]:
    path = server.opened(params.text_document.uri)
    return symbols.formatting(server.documents.opened[path].source, server.encoding)


def _symbols(server: SpaceServer, params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
    path = server.opened(params.text_document.uri)
    member = server.documents.project.member(path)
    source = server.documents.opened[path].source
    return symbols.symbols(member.names.file, source, server.encoding) if member is not None else []


def _folding(server: SpaceServer, params: types.FoldingRangeParams) -> list[types.FoldingRange]:
    path = server.opened(params.text_document.uri)
    member = server.documents.project.member(path)
    source = server.documents.opened[path].source
    return symbols.folds(member.names.file, source, server.encoding) if member is not None else []


_HANDLERS = (
    (types.INITIALIZE, _initialize, None),
    (types.SHUTDOWN, _shutdown, None),
    (types.TEXT_DOCUMENT_DID_OPEN, _did_open, None),
    (types.TEXT_DOCUMENT_DID_CHANGE, _did_change, None),
    (types.TEXT_DOCUMENT_DID_CLOSE, _did_close, None),
    (types.TEXT_DOCUMENT_DID_SAVE, _did_save, None),
    (types.WORKSPACE_DID_CHANGE_WATCHED_FILES, _did_change_files, None),
    (types.TEXT_DOCUMENT_HOVER, _hover, None),
    (
        types.TEXT_DOCUMENT_COMPLETION,
        _completion,
        types.CompletionOptions(trigger_characters=[".", "(", ",", '"', "/"]),
    ),
    (
        types.TEXT_DOCUMENT_SIGNATURE_HELP,
        _signature_help,
        types.SignatureHelpOptions(trigger_characters=["(", ","]),
    ),
    (types.TEXT_DOCUMENT_DEFINITION, _definition, None),
    (types.TEXT_DOCUMENT_REFERENCES, _references, None),
    (types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT, _highlight, None),
    (types.TEXT_DOCUMENT_PREPARE_RENAME, _prepare_rename, None),
    (types.TEXT_DOCUMENT_RENAME, _rename, types.RenameOptions(prepare_provider=True)),
    (types.TEXT_DOCUMENT_FORMATTING, _formatting, None),
    (types.TEXT_DOCUMENT_DOCUMENT_SYMBOL, _symbols, None),
    (types.TEXT_DOCUMENT_FOLDING_RANGE, _folding, None),
)
"""Every message that is answered, with its options."""
