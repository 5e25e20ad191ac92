"""The files in your buckets, in a window. With Tk.

    python examples/tk_files.py

It talks to the bridge that STORJ_BRIDGE names. Without one it starts a bridge of its own, with its data in the folder
"pymdc-files" of your home folder (or in the one that you name as an argument), and reads the activation mails itself.
What is no matter of windows is in `files_model.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

try:
    import tkinter
    from tkinter import filedialog, font, messagebox, simpledialog, ttk

    from files_model import (
        REFRESH_MS,
        Memory,
        Model,
        Refreshes,
        Texts,
        Transfer,
        as_text,
        bridge,
        changes,
        config_folder,
        in_words,
        shortened,
    )

    import pymdc
except ImportError as missing:
    sys.exit(f"This program needs Tk (Debian: python3-tk) and pymdc (pip install .): {missing}.")

FILE_COLUMNS = (("#0", "filename", "File"), ("size", "size", "Size"), ("mimetype", "mimetype", "Type"))
TIP_MS = 500  # how long the mouse rests before the whole name is shown


class Tip:
    """Shows the whole text of a row, where the mouse rests on it."""

    def __init__(self, tree: ttk.Treeview, text_of: Callable[[str], str]) -> None:
        self.tree, self.text_of = tree, text_of
        self.row, self.timer = "", ""
        self.window: tkinter.Toplevel | None = None
        tree.bind("<Motion>", self.moved, add=True)
        for event in ("<Leave>", "<ButtonPress>", "<Key>", "<Destroy>"):
            tree.bind(event, lambda _: self.hide(), add=True)

    def moved(self, event: tkinter.Event[Any]) -> None:
        row = self.tree.identify_row(event.y)
        if row != self.row:
            self.hide()
            self.row = row
            if row:
                self.timer = self.tree.after(TIP_MS, self.show, event.x_root, event.y_root)

    def show(self, x: int, y: int) -> None:
        self.timer = ""
        self.window = tkinter.Toplevel(self.tree, borderwidth=1, background="black")
        self.window.overrideredirect(True)
        width = min(self.tree.winfo_screenwidth() - 40, 600)
        text = self.text_of(self.row)
        words = tkinter.Label(self.window, text=text, wraplength=width, justify="left", background="#ffffe1", padx=6)
        words.configure(foreground="black", pady=3)
        words.pack()
        left = min(x + 12, self.tree.winfo_screenwidth() - words.winfo_reqwidth() - 8)
        self.window.geometry(f"+{max(0, left)}+{y + 18}")

    def hide(self) -> None:
        if self.timer:
            self.tree.after_cancel(self.timer)
        if self.window is not None:
            self.window.destroy()
        self.row, self.timer, self.window = "", "", None


class Window:
    """The window. It shows what the model knows, and asks the model for what a person wants."""

    def __init__(self, root: tkinter.Tk, model_of: Callable[[Callable[[str], None]], Model]) -> None:
        self.root = root
        self.in_a_row = 0
        self.style()
        self.message = ttk.Label(root, padding=(8, 4), anchor="w")
        self.message.pack(side="bottom", fill="x")
        self.message.bind("<Configure>", lambda event: self.message.configure(wraplength=event.width - 20))
        self.account_page, self.files_page = ttk.Frame(root, padding=12), ttk.Frame(root, padding=8)
        self.build_account()
        self.build_files()
        root.title("Files")
        root.minsize(560, 360)
        width, height = self.letter * 125, self.line * 38  # which are more pixels where they are finer
        root.geometry(f"{min(width, root.winfo_screenwidth())}x{min(height, root.winfo_screenheight() - 40)}")
        root.protocol("WM_DELETE_WINDOW", self.close)
        shows = {"buckets": self.show_buckets, "files": self.show_files, "transfers": self.show_transfers}
        self.refreshes = Refreshes(shows, root.after)
        self.shown: dict[str, tuple[list[int], dict[str, Texts]]] = {}  # the columns' widths and the rows, by table
        self.model = model_of(self.changed)
        self.email.insert(0, self.model.memory.here["email"])
        self.changed("account")
        self.model.start()
        self.look()

    # What it is made of

    def style(self) -> None:
        """Give all of it one grey, and sizes that follow the fonts, which follow the resolution of the screen."""
        style, text = ttk.Style(self.root), font.nametofont("TkDefaultFont")
        if self.root.tk.call("tk", "windowingsystem") == "x11":  # elsewhere Tk looks as the desktop does
            style.theme_use("clam")
            grey = style.lookup("TFrame", "background")
            self.root.configure(background=grey)
            for classic in ("Toplevel", "Frame", "Label", "Button", "Menu"):
                self.root.option_add(f"*{classic}.background", grey)
        self.letter, self.line = text.measure("0"), text.metrics("linespace")
        self.text = text
        style.configure("Treeview", rowheight=self.line + 6, indent=0)
        style.configure("Item", padding=(4, 0, 0, 0))
        style.configure("TProgressbar", background="#3584e4", troughcolor="#eeeeee", thickness=self.line)
        parts = [("Treeitem.image", {"side": "left"}), ("Treeitem.text", {"side": "left"})]  # and no room for a "+"
        style.layout("Treeview.Item", [("Treeitem.padding", {"sticky": "nswe", "children": parts})])
        style.configure("TButton", width=0, padding=(self.letter, 3))
        style.configure("Hint.TLabel", background="white", foreground="#555555", padding=8)

    def button(self, parent: tkinter.Misc, text: str, command: Callable[[], object]) -> ttk.Button:
        """Make a button; Alt and the letter behind the "&" press it."""
        place, plain = text.index("&"), text.replace("&", "")
        made = ttk.Button(parent, text=plain, underline=place, command=command)
        self.on_alt(plain[place], made, made.invoke)
        made.bind("<Return>", lambda _: made.invoke())
        return made

    def field(self, row: int, text: str, **options: Any) -> ttk.Entry:
        place, plain = text.index("&"), text.replace("&", "")
        entry = ttk.Entry(self.account_page, **options)
        label = ttk.Label(self.account_page, text=plain, underline=place)
        label.grid(row=row, column=0, sticky="w", padx=(0, 8), pady=3)
        entry.grid(row=row, column=1, columnspan=2, sticky="ew", pady=3)
        self.on_alt(plain[place], entry, entry.focus_set)
        return entry

    def on_alt(self, letter: str, widget: ttk.Widget, do: Callable[[], object]) -> None:
        self.root.bind(f"<Alt-{letter.lower()}>", lambda _: do() if widget.winfo_viewable() else None, add=True)

    def build_account(self) -> None:
        page = self.account_page
        page.columnconfigure(1, weight=1)
        self.email = self.field(0, "&E-mail")
        self.password = self.field(1, "&Password", show="•")
        self.sign_in = self.button(page, "&Sign in", lambda: self.model.sign_in(*self.typed()))
        self.register = self.button(page, "&Register, or send the mail again", self.registers)
        self.sign_in.grid(row=2, column=1, sticky="w", pady=3)
        self.register.grid(row=2, column=2, sticky="e", pady=3)
        words = "New here? Register. The bridge sends you a mail: paste its link, and the account is activated."
        hint = ttk.Label(page, text=words, padding=(0, 18, 0, 3))
        hint.grid(row=3, column=0, columnspan=3, sticky="w")
        page.bind("<Configure>", lambda event: hint.configure(wraplength=event.width - 30))
        self.link = self.field(4, "&Link or token")
        self.activate = self.button(page, "&Activate", self.activates)
        self.activate.grid(row=5, column=1, sticky="w", pady=3)
        self.email.bind("<Return>", lambda _: self.password.focus_set())
        self.password.bind("<Return>", lambda _: self.sign_in.invoke())
        self.link.bind("<Return>", lambda _: self.activate.invoke())

    def build_files(self) -> None:
        halves = ttk.PanedWindow(self.files_page, orient="vertical")
        above = ttk.PanedWindow(halves, orient="horizontal")
        above.add(self.build_buckets(above), weight=1)
        above.add(self.build_browser(above), weight=4)
        halves.add(above, weight=3)
        halves.add(self.build_transfers(halves), weight=2)
        halves.pack(fill="both", expand=True)

    def build_buckets(self, parent: tkinter.Misc) -> ttk.Frame:
        frame = ttk.Frame(parent)
        rows = ttk.Frame(frame)
        self.new_bucket = self.button(rows, "&New…", self.makes_bucket)
        self.rename_bucket = self.button(rows, "Rena&me…", self.renames_bucket)
        self.delete_bucket = self.button(rows, "Delete &bucket…", self.deletes_bucket)
        self.new_bucket.grid(row=0, column=0, sticky="ew")
        self.rename_bucket.grid(row=0, column=1, sticky="ew", padx=(4, 0))
        self.delete_bucket.grid(row=1, column=0, columnspan=2, sticky="ew", pady=(4, 0))
        rows.columnconfigure((0, 1), weight=1)
        rows.pack(side="bottom", fill="x", pady=(4, 0))
        self.full_words = ttk.Label(frame)
        self.full_words.pack(side="bottom", fill="x")
        self.full = ttk.Progressbar(frame, maximum=1.0)
        self.full.pack(side="bottom", fill="x", pady=(4, 0))
        self.buckets = self.table(frame, [("#0", "Bucket", 16)], "browse", 3)
        self.buckets.bind("<<TreeviewSelect>>", lambda _: self.chooses_bucket())
        Tip(self.buckets, lambda row: self.rows_of(self.buckets)[row][-1])
        return frame

    def build_browser(self, parent: tkinter.Misc) -> ttk.Frame:
        frame = ttk.Frame(parent, padding=(6, 0, 0, 0))
        bar = ttk.Frame(frame)
        bar.pack(fill="x", pady=(0, 4))
        self.upload = self.button(bar, "&Upload…", self.uploads)
        self.download = self.button(bar, "&Download…", self.downloads)
        self.delete = self.button(bar, "De&lete…", self.deletes)
        self.refresh = self.button(bar, "Re&fresh", lambda: self.model.refresh())
        self.sign_out = self.button(bar, "Sign &out", self.signs_out)
        for each in (self.upload, self.download, self.delete, self.refresh):
            each.pack(side="left", padx=(0, 4))
        self.sign_out.pack(side="right")
        columns = [("#0", "File", 30), ("size", "Size", 10), ("mimetype", "Type", 16)]
        self.files = self.table(frame, columns, "extended", 4)
        for column, field, _ in FILE_COLUMNS:
            self.files.heading(column, command=lambda field=field: self.model.sort(field))
        self.files.column("size", anchor="e", stretch=False)
        self.hint = ttk.Label(self.files, style="Hint.TLabel", anchor="center", justify="center")
        self.menu = tkinter.Menu(self.files, tearoff=False)
        for text, command in self.file_commands():
            self.menu.add_command(label=text, command=command)
        self.files.bind("<Double-1>", lambda event: self.downloads() if self.files.identify_row(event.y) else None)
        self.files.bind("<Return>", lambda _: self.downloads())
        self.files.bind("<Delete>", lambda _: self.deletes())
        self.files.bind("<Control-a>", lambda _: self.files.selection_set(self.files.get_children()))
        self.files.bind("<Escape>", lambda _: self.files.selection_set(()))
        self.files.bind("<<TreeviewSelect>>", lambda _: self.enable())
        self.files.bind("<Button-3>", self.opens_menu)
        self.files.bind("<Configure>", lambda _: self.refreshes.ask("files"), add=True)
        self.files.bind("<ButtonRelease-1>", lambda _: self.refreshes.ask("files"), add=True)  # a column is wider
        self.root.bind("<F5>", lambda _: self.refresh.invoke())
        Tip(self.files, lambda row: self.rows_of(self.files)[row][-1])
        return frame

    def file_commands(self) -> list[tuple[str, Callable[[], object]]]:
        return [("Download…", self.downloads), ("Copy the hash", self.copies_hash), ("Delete…", self.deletes)]

    def build_transfers(self, parent: tkinter.Misc) -> ttk.Frame:
        frame = ttk.Frame(parent, padding=(0, 6, 0, 0))
        bar = ttk.Frame(frame)
        bar.pack(fill="x", pady=(0, 4))
        self.cancel = self.button(bar, "&Cancel", lambda: self.model.cancel(self.chosen_transfers()))
        self.retry = self.button(bar, "Re&try", lambda: self.model.retry(self.chosen_transfers()))
        self.open = self.button(bar, "O&pen", self.opens)
        self.clear = self.button(bar, "Cle&ar finished", lambda: self.model.clear())
        for each in (self.cancel, self.retry, self.open, self.clear):
            each.pack(side="left", padx=(0, 4))
        self.total = ttk.Progressbar(bar, maximum=1.0, length=self.letter * 12)
        self.total.pack(side="right")
        self.total_words = ttk.Label(bar)
        self.total_words.pack(side="right", padx=6)
        columns = [("#0", "Transfer", 24), ("share", "", 10), ("words", "", 34)]
        self.transfers = self.table(frame, columns, "extended", 2)
        self.transfers.column("share", stretch=False)
        self.transfers.bind("<<TreeviewSelect>>", lambda _: self.enable())
        self.transfers.bind("<Delete>", lambda _: self.cancel.invoke())
        self.transfers.bind("<Return>", lambda _: self.opens())
        self.transfers.bind("<Double-1>", lambda _: self.opens())
        self.transfers.bind("<Control-a>", lambda _: self.transfers.selection_set(self.transfers.get_children()))
        self.transfers.bind("<Configure>", lambda _: self.refreshes.ask("transfers"), add=True)
        self.bars: list[ttk.Progressbar] = []  # one for each row that can be seen
        Tip(self.transfers, lambda row: self.rows_of(self.transfers)[row][-1])
        return frame

    def table(self, parent: tkinter.Misc, columns: list[tuple[str, str, int]], mode: Any, height: int) -> ttk.Treeview:
        frame = ttk.Frame(parent)
        frame.pack(fill="both", expand=True)
        tree = ttk.Treeview(frame, columns=[each[0] for each in columns[1:]], selectmode=mode, height=height)
        for name, title, letters in columns:
            tree.heading(name, text=title, anchor="w")
            tree.column(name, width=self.letter * letters, minwidth=self.letter * 6)
        scrollbar = ttk.Scrollbar(frame, command=lambda *a: (tree.yview(*a), self.look_at_bars()))
        scrollbar.pack(side="right", fill="y")
        tree.configure(yscrollcommand=scrollbar.set)
        tree.pack(side="left", fill="both", expand=True)
        return tree

    # What it shows

    def changed(self, what: str) -> None:
        if what == "message":
            self.show_message()
        elif what == "account":
            self.show_account()
        elif what == "files" and self.model.files is None:  # those of another bucket must not stay
            self.refreshes.now(what)
        else:
            self.refreshes.ask(what)

    def show_message(self) -> None:
        self.message.configure(text=self.model.message, foreground="#a40000" if self.model.is_problem else "")

    def show_account(self) -> None:
        signed_in = self.model.signed_in
        shown, hidden = (self.files_page, self.account_page) if signed_in else (self.account_page, self.files_page)
        hidden.pack_forget()
        shown.pack(fill="both", expand=True)
        if signed_in:
            self.password.delete(0, "end")
            self.link.delete(0, "end")
            self.files.focus_set()
        else:
            for what in ("buckets", "files", "transfers"):
                self.refreshes.now(what)
            (self.password if self.email.get() else self.email).focus_set()

    def rows_of(self, tree: ttk.Treeview) -> dict[str, Texts]:
        """Return the rows that a table shows: the texts of each in full, and its tip behind them."""
        return self.shown.get(str(tree), ([], {}))[1]

    def show_rows(self, tree: ttk.Treeview, rows: dict[str, Texts]) -> bool:
        """Show these rows; what was selected stays selected. Return whether more of them are to come."""
        columns = ("#0", *tree.cget("columns"))
        widths = [tree.column(each, "width") for each in columns]
        before, shown = self.shown.get(str(tree), ([], {}))
        change = changes(shown, rows)
        if change.gone:
            tree.delete(*change.gone)
        if change.moved:
            tree.set_children("", *change.stay)
        for index, row in change.new:
            tree.insert("", index, row)
        written = change.written if widths == before else change.stay
        for row in [*(row for _, row in change.new), *written]:
            texts = [self.fitted(*each) for each in zip(change.rows[row], widths, strict=False)]
            tree.item(row, text=texts[0], values=texts[1:])
        self.shown[str(tree)] = widths, change.rows
        return change.more

    def fitted(self, text: str, width: int) -> str:
        """Return a text as a column of this width shows it."""
        room = width - 2 * self.letter
        return shortened(text, lambda text: self.text.measure(text) <= room)

    def show_buckets(self) -> bool:
        names = {each["id"]: as_text(each["name"]) for each in self.model.buckets}
        more = self.show_rows(self.buckets, {row: (name, name) for row, name in names.items()})
        chosen = self.model.bucket
        if chosen and self.buckets.exists(chosen["id"]) and self.buckets.selection() != (chosen["id"],):
            self.buckets.selection_set(chosen["id"])
            self.buckets.see(chosen["id"])
        self.enable()
        return more

    def show_files(self) -> bool:
        model = self.model
        rows: dict[str, Texts] = {}
        for each in model.files or []:
            name = as_text(each["filename"])
            rows[each["hash"]] = (name, in_words(each["size"]), as_text(each["mimetype"]), name)
        more = self.show_rows(self.files, rows)
        arrow = " ▼" if model.backwards else " ▲"
        for column, field, title in FILE_COLUMNS:
            self.files.heading(column, text=title + (arrow if field == model.sort_by else ""))
        self.hint.configure(text=model.hint, wraplength=max(100, self.files.winfo_width() - 40))
        if model.hint:
            self.hint.place(relx=0.5, rely=0.6, anchor="center")
        else:
            self.hint.place_forget()
        share, words = model.fullness
        self.full.configure(value=share)
        self.full_words.configure(text=words)
        self.enable()
        return more

    def show_transfers(self) -> bool:
        rows: dict[str, Texts] = {
            each.row: (("↑ " if each.up else "↓ ") + each.name, "", each.words, f"{each.name}\n{each.words}")
            for each in self.model.transfers
        }
        more = self.show_rows(self.transfers, rows)
        share, words = self.model.total
        self.total.configure(value=share)
        self.total_words.configure(text=words)
        self.look_at_bars()
        self.enable()
        return more

    def look_at_bars(self) -> None:
        """Put a bar over each row that can be seen: a table of Tk draws none, and two hundred would be slow."""
        used = 0
        shares = {each.row: each.share for each in self.model.transfers}
        for row in self.seen_rows(self.transfers):
            place = self.transfers.bbox(row, "share")
            if place and row in shares:
                if used == len(self.bars):
                    self.bars.append(ttk.Progressbar(self.transfers, maximum=1.0))
                x, y, width, height = place
                self.bars[used].configure(value=shares[row])
                self.bars[used].place(x=x + 2, y=y + 3, width=width - 4, height=height - 6)
                used += 1
        for bar in self.bars[used:]:
            bar.place_forget()

    def seen_rows(self, tree: ttk.Treeview) -> list[str]:
        """Return the rows that the window shows, and one more on either side; to ask each one would be slow."""
        rows = tree.get_children()
        top, bottom = tree.yview()
        return list(rows[max(0, int(top * len(rows)) - 1) : int(bottom * len(rows)) + 2])

    def look(self) -> None:
        """Show the transfers that are under way anew, a few times a second, however often they tell of progress."""
        self.root.after(REFRESH_MS, self.look)
        if self.model.unfinished:
            self.refreshes.ask("transfers")
        else:
            self.look_at_bars()

    def enable(self) -> None:
        """Let only those buttons be pressed that can do something now."""
        model = self.model
        chosen, transfers = bool(self.files.selection()), self.chosen_transfers()
        states = {
            self.rename_bucket: model.bucket,
            self.delete_bucket: model.bucket,
            self.upload: model.bucket,
            self.download: chosen,
            self.delete: chosen,
            self.cancel: any(each.can_cancel for each in transfers),
            self.retry: any(each.can_retry for each in transfers),
            self.open: any(each.state == "done" for each in transfers),
            self.clear: len(model.transfers) > len(model.unfinished),
        }
        for widget, can in states.items():
            widget.state(["!disabled" if can else "disabled"])

    # What a person does

    def typed(self) -> tuple[str, str]:
        return self.email.get().strip(), self.password.get()

    def registers(self) -> None:
        self.model.register(*self.typed())
        self.link.focus_set()

    def activates(self) -> None:
        self.model.activate(self.link.get(), *self.typed())

    def mailed(self, token: str) -> None:
        self.link.delete(0, "end")
        self.link.insert(0, token)
        self.activates()

    def signs_out(self) -> None:
        if self.may_stop("Sign out"):
            self.model.sign_out()

    def may_stop(self, what: str) -> bool:
        words = f"{self.model.under_way} {what} all the same?"
        return not self.model.unfinished or messagebox.askyesno(what, words, parent=self.root, default="no")

    def makes_bucket(self) -> None:
        name = simpledialog.askstring("New bucket", "Name of the bucket:", parent=self.root)
        if name and name.strip():
            self.model.create_bucket(name.strip())

    def renames_bucket(self) -> None:
        old = self.model.bucket["name"] if self.model.bucket else ""
        name = simpledialog.askstring("Rename", "New name of the bucket:", initialvalue=old, parent=self.root)
        if name and name.strip():
            self.model.rename_bucket(name.strip())

    def deletes_bucket(self) -> None:
        name = as_text(self.model.bucket["name"])[:60] if self.model.bucket else ""
        if name and self.sure("Delete bucket", f"Delete {name} and its files?"):
            self.model.delete_bucket()

    def sure(self, title: str, question: str) -> bool:
        return bool(messagebox.askyesno(title, question, icon="warning", default="no", parent=self.root))

    def chooses_bucket(self) -> None:
        bucket = self.model.chosen_bucket(self.buckets.selection())
        if bucket and not (self.model.bucket and self.model.bucket["id"] == bucket["id"]):
            self.model.choose(bucket)

    def chosen_files(self) -> list[dict[str, Any]]:
        return self.model.chosen_files(set(self.files.selection()))

    def chosen_transfers(self) -> list[Transfer]:
        """Return the transfers that are selected; all of them where none is."""
        rows = set(self.transfers.selection())
        return self.model.chosen_transfers(rows) if rows else self.model.transfers

    def uploads(self) -> None:
        self.model.upload(list(filedialog.askopenfilenames(parent=self.root, title="Files to upload")))

    def downloads(self) -> None:
        files = self.chosen_files()
        folder = files and filedialog.askdirectory(parent=self.root, title="Folder to download to")
        if folder:
            self.model.download(files, folder)

    def deletes(self) -> None:
        files = self.chosen_files()
        what = as_text(files[0]["filename"])[:60] if len(files) == 1 else f"{len(files)} files"
        if files and self.sure("Delete", f"Delete {what}? That cannot be undone."):
            self.model.delete_files(files)

    def copies_hash(self) -> None:
        self.root.clipboard_clear()
        self.root.clipboard_append("\n".join(each["hash"] for each in self.chosen_files()))
        self.model.say("The hash is in the clipboard.")

    def opens_menu(self, event: tkinter.Event[Any]) -> None:
        row = self.files.identify_row(event.y)
        if row and row not in self.files.selection():
            self.files.selection_set(row)
        if row:
            self.files.focus_set()
            self.menu.tk_popup(event.x_root, event.y_root)

    def opens(self) -> None:
        done = [each for each in self.chosen_transfers() if each.state == "done"]
        if done:
            self.model.open(done[-1])

    def close(self) -> None:
        if self.may_stop("Quit"):
            self.root.withdraw()
            self.model.close()
            self.root.destroy()


def main() -> None:
    with ExitStack() as stack:
        try:
            root = tkinter.Tk(className="Files")
        except tkinter.TclError as error:
            sys.exit(f"There is no screen for the window: {error}.")
        schedule = pymdc.schedulers.tk(root)
        url = stack.enter_context(bridge(lambda token: schedule(lambda: window.mailed(token))))
        client = pymdc.Client(url, scheduler=schedule)
        window = Window(root, lambda changed: Model(client, Memory(config_folder(), url), changed))
        root.mainloop()


if __name__ == "__main__":
    main()
