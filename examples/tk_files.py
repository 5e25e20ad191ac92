"""The files in your buckets, in a window. With Tk.

    python examples/tk_files.py

It talks to the bridge that STORJ_BRIDGE names. Without one it starts a bridge of its own, with its data in the folder
"pymdc-files" of your home folder (or in the one that you name as an argument), and reads the activation mails itself.
The parts that need no Tk are in `files_model.py`, `files_view.py` and `files_words.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

try:
    import tkinter
    from tkinter import filedialog, font, messagebox, simpledialog, ttk

    from files_model import Memory, Model, bridge, config_folder
    from files_view import Commands, Refreshes, Texts, bucket_rows, changes, file_rows, file_titles, transfer_rows
    from files_words import as_drawn, shortened

    import pymdc
except ImportError as missing:
    sys.exit(f"This program needs Tk (Debian: python3-tk) and pymdc (pip install .): {missing}.")

TIP_MS = 500  # how long the mouse rests before the whole name is shown
BLUE = "#3584e4"


class Tip:
    """Shows the whole text of a row when the mouse rests on it."""

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
    """The window. It shows the model, and passes on what a person does."""

    def __init__(self, root: tkinter.Tk, model: Model) -> None:
        self.root, self.model, self.do = root, model, Commands(model, self)
        self.shown: dict[str, tuple[list[int], dict[str, Texts]]] = {}  # the columns' widths and the rows, by table
        self.bars: list[ttk.Progressbar] = []  # a bar for each visible row of a transfer
        self.refreshes = Refreshes(model, self, root.after)
        self.style()
        self.message = ttk.Label(root, padding=(8, 2), anchor="w")
        self.message.pack(side="bottom", fill="x")
        self.message.bind("<Configure>", lambda event: self.message.configure(wraplength=event.width - 20))
        self.account_page, self.files_page = ttk.Frame(root, padding=12), ttk.Frame(root, padding=8)
        self.build_account()
        self.build_files()
        root.title("Files")
        root.minsize(560, 360)
        width, height = self.letter * 125, self.line * 38  # which are more pixels where they are finer
        root.geometry(f"{min(width, root.winfo_screenwidth())}x{min(height, root.winfo_screenheight() - 30)}")
        root.protocol("WM_DELETE_WINDOW", self.close)
        self.email.insert(0, model.memory.here["email"])
        self.refreshes.begin()

    # What it is made of

    def style(self) -> None:
        """Give all parts one grey, and sizes that follow the fonts, which follow the resolution of the screen."""
        style, self.text = ttk.Style(self.root), font.nametofont("TkDefaultFont")
        self.letter, self.line = self.text.measure("0"), self.text.metrics("linespace")
        self.x11 = self.root.tk.call("tk", "windowingsystem") == "x11"
        if self.x11:  # on other systems Tk looks like the desktop
            style.theme_use("clam")
            grey = style.lookup("TFrame", "background")
            self.root.configure(background=grey)
            for classic in ("Toplevel", "Frame", "Label", "Button", "Menu"):
                self.root.option_add(f"*{classic}.background", grey)
        style.configure("Treeview", rowheight=self.line + 5, indent=0)
        style.configure("Item", padding=(4, 0, 0, 0))
        style.configure("Cell", padding=(self.letter // 2, 0))
        flat = dict.fromkeys(("background", "lightcolor", "darkcolor"), BLUE)
        style.configure("TProgressbar", troughcolor="#eeeeee", bordercolor="#bbbbbb", thickness=self.line, **flat)
        parts: Any = [("Treeitem.image", {"side": "left"}), ("Treeitem.text", {"side": "left"})]  # no room for a "+"
        style.layout("Treeview.Item", [("Treeitem.padding", {"sticky": "nswe", "children": parts})])
        style.configure("TButton", width=0, padding=(self.letter, 1))
        style.configure("Hint.TLabel", background="white", foreground="#555555", padding=8)

    def button(self, parent: tkinter.Misc, text: str, command: Callable[[], object]) -> ttk.Button:
        """Make a button; Alt and the letter after the "&" press it."""
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
        self.sign_in = self.button(page, "&Sign in", self.do.sign_in)
        self.register = self.button(page, "&Register, or send the mail again", self.registers)
        self.sign_in.grid(row=2, column=1, sticky="w", pady=3)
        self.register.grid(row=2, column=2, sticky="e", pady=3)
        words = "New here? Register. The bridge sends you a mail: paste its link, and you are in."
        hint = ttk.Label(page, text=words, padding=(0, 18, 0, 3))
        hint.grid(row=3, column=0, columnspan=3, sticky="w")
        page.bind("<Configure>", lambda event: hint.configure(wraplength=event.width - 30))
        self.link = self.field(4, "&Link or token")
        self.activate = self.button(page, "&Activate", self.do.activate)
        self.activate.grid(row=5, column=1, sticky="w", pady=3)
        self.email.bind("<Return>", lambda _: self.password.focus_set())
        self.password.bind("<Return>", lambda _: self.sign_in.invoke())
        self.link.bind("<Return>", lambda _: self.activate.invoke())

    def registers(self) -> None:
        self.do.register()
        self.link.focus_set()

    def build_files(self) -> None:
        halves = ttk.PanedWindow(self.files_page, orient="vertical")
        above = ttk.PanedWindow(halves, orient="horizontal")
        above.add(self.build_buckets(above), weight=1)
        above.add(self.build_browser(above), weight=4)
        halves.add(above, weight=3)
        halves.add(self.build_transfers(halves), weight=3)
        halves.pack(fill="both", expand=True)

    def build_buckets(self, parent: tkinter.Misc) -> ttk.Frame:
        frame = ttk.Frame(parent)
        self.buckets = self.table(frame, [("Bucket", 16)], "browse", 2)
        self.full = ttk.Progressbar(frame, maximum=1.0)
        self.full_words = ttk.Label(frame)
        rows = ttk.Frame(frame)
        self.new_bucket = self.button(rows, "&New…", self.do.new_bucket)
        self.rename_bucket = self.button(rows, "Rena&me…", self.do.rename_bucket)
        self.delete_bucket = self.button(rows, "Delete &bucket…", self.do.delete_bucket)
        self.new_bucket.grid(row=0, column=0, sticky="ew")
        self.rename_bucket.grid(row=0, column=1, sticky="ew", padx=(4, 0))
        self.delete_bucket.grid(row=1, column=0, columnspan=2, sticky="ew", pady=(4, 0))
        rows.columnconfigure((0, 1), weight=1)
        for each in (rows, self.full_words, self.full):  # from below: the table gets the remaining space
            each.pack(side="bottom", fill="x", pady=(4, 0), before=self.buckets.master)
        self.buckets.bind("<<TreeviewSelect>>", lambda _: self.do.choose_bucket())
        return frame

    def build_browser(self, parent: tkinter.Misc) -> ttk.Frame:
        frame = ttk.Frame(parent, padding=(6, 0, 0, 0))
        bar = ttk.Frame(frame)
        bar.pack(fill="x", pady=(0, 4))
        self.upload = self.button(bar, "&Upload…", self.do.upload)
        self.download = self.button(bar, "&Download…", self.do.download)
        self.delete = self.button(bar, "De&lete…", self.do.delete)
        self.refresh = self.button(bar, "Re&fresh", self.do.refresh)
        self.sign_out = self.button(bar, "Sign &out", self.do.sign_out)
        for each in (self.upload, self.download, self.delete, self.refresh):
            each.pack(side="left", padx=(0, 4))
        self.sign_out.pack(side="right")
        self.files = self.table(frame, [("File", 20), ("Size", 11), ("Type", 17)], "extended", 3)
        for column, field in (("#0", "filename"), ("1", "size"), ("2", "mimetype")):
            self.files.heading(column, command=lambda field=field: self.model.sort(field))  # type: ignore[misc]
        self.files.column("1", anchor="e", stretch=False)
        self.files.heading("1", anchor="e")
        self.hint = ttk.Label(self.files, style="Hint.TLabel", anchor="center", justify="center")
        self.menu = tkinter.Menu(self.files, tearoff=False)
        self.menu.add_command(label="Download…", command=self.do.download)
        self.menu.add_command(label="Copy the hash", command=self.do.copy_hash)
        self.menu.add_command(label="Delete…", accelerator="Del", command=self.do.delete)
        self.files.bind("<Double-1>", lambda event: self.do.download() if self.files.identify_row(event.y) else None)
        self.files.bind("<Return>", lambda _: self.do.download())
        self.files.bind("<Delete>", lambda _: self.do.delete())
        self.files.bind("<Button-3>", self.opens_menu)
        self.root.bind("<F5>", lambda _: self.refresh.invoke())
        self.several(self.files, "files")
        return frame

    def build_transfers(self, parent: tkinter.Misc) -> ttk.Frame:
        frame = ttk.Frame(parent, padding=(0, 4, 0, 0))
        bar = ttk.Frame(frame)
        bar.pack(fill="x", pady=(0, 4))
        self.cancel = self.button(bar, "&Cancel", self.do.cancel)
        self.retry = self.button(bar, "Re&try", self.do.retry)
        self.open = self.button(bar, "O&pen", self.do.open)
        self.clear = self.button(bar, "Cle&ar finished", self.do.clear)
        for each in (self.cancel, self.retry, self.open, self.clear):
            each.pack(side="left", padx=(0, 4))
        self.total = ttk.Progressbar(bar, maximum=1.0, length=self.letter * 12)
        self.total.pack(side="right")
        self.total_words = ttk.Label(bar)
        self.total_words.pack(side="right", padx=6)
        self.transfers = self.table(frame, [("Transfer", 20), ("", 10), ("", 30)], "extended", 3)
        self.transfers.column("1", stretch=False)
        self.transfers.bind("<Delete>", lambda _: self.cancel.invoke())
        self.transfers.bind("<Return>", lambda _: self.do.open())
        self.transfers.bind("<Double-1>", lambda _: self.do.open())
        self.several(self.transfers, "transfers")
        return frame

    def table(self, parent: tkinter.Misc, columns: list[tuple[str, int]], mode: Any, height: int) -> ttk.Treeview:
        """Make a table with tooltips, and with a scrollbar if not all rows are visible."""
        frame = ttk.Frame(parent)
        frame.pack(fill="both", expand=True)
        frame.columnconfigure(0, weight=1)
        frame.rowconfigure(0, weight=1)
        names = ["#0", *map(str, range(1, len(columns)))]
        tree = ttk.Treeview(frame, columns=names[1:], selectmode=mode, height=height)
        for name, (title, letters) in zip(names, columns, strict=True):
            tree.heading(name, text=title, anchor="w")
            tree.column(name, width=self.letter * letters, minwidth=self.letter * 6)
        scrollbar = ttk.Scrollbar(frame, command=tree.yview)

        def scrolled(top: float, bottom: float) -> None:
            scrollbar.set(top, bottom)
            scrollbar.grid(row=0, column=1, sticky="ns")
            if float(top) <= 0 and float(bottom) >= 1:
                scrollbar.grid_remove()
            if self.bars:
                self.look_at_bars()

        tree.configure(yscrollcommand=scrolled)
        tree.grid(row=0, column=0, sticky="nsew")
        Tip(tree, lambda row: self.drawn(self.rows_of(tree)[row][-1]))
        return tree

    def several(self, tree: ttk.Treeview, what: str) -> None:
        """Let people select several rows of a table; show it again when its columns change their width."""
        tree.bind("<Control-a>", lambda _: tree.selection_set(tree.get_children()))
        tree.bind("<Escape>", lambda _: tree.selection_set(()))
        tree.bind("<<TreeviewSelect>>", lambda _: self.enable())
        for event in ("<Configure>", "<ButtonRelease-1>"):
            tree.bind(event, lambda _: self.refreshes.ask(what), add=True)

    # What it shows

    def drawn(self, text: str) -> str:
        """Return a text in the order that Tk needs: under X11 it does not support right-to-left scripts."""
        return as_drawn(text) if self.x11 else text

    def show_message(self) -> bool:
        colour = "#a40000" if self.model.is_problem else ""
        self.message.configure(text=self.drawn(self.model.message), foreground=colour)
        return False

    def show_account(self) -> bool:
        signed_in = self.model.signed_in
        shown, hidden = (self.files_page, self.account_page) if signed_in else (self.account_page, self.files_page)
        hidden.pack_forget()
        shown.pack(fill="both", expand=True)
        if signed_in:
            self.password.delete(0, "end")
            self.link.delete(0, "end")
            self.files.focus_set()
        else:
            (self.password if self.email.get() else self.email).focus_set()
        return False

    def rows_of(self, tree: ttk.Treeview) -> dict[str, Texts]:
        """Return the rows of a table: the full texts of each, followed by its tooltip."""
        return self.shown.get(str(tree), ([], {}))[1]

    def show_rows(self, tree: ttk.Treeview, rows: dict[str, Texts]) -> bool:
        """Show these rows, and keep the selected rows. Return whether there are more of them."""
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
        return self.drawn(shortened(text, lambda text: self.text.measure(text) <= room))

    def show_buckets(self) -> bool:
        more = self.show_rows(self.buckets, bucket_rows(self.model))
        chosen = self.model.bucket
        if chosen and self.buckets.exists(chosen["id"]) and self.buckets.selection() != (chosen["id"],):
            self.buckets.selection_set(chosen["id"])
            self.buckets.see(chosen["id"])
        self.enable()
        return more

    def show_files(self) -> bool:
        more = self.show_rows(self.files, file_rows(self.model))
        for column, title in zip(("#0", "1", "2"), file_titles(self.model), strict=True):
            self.files.heading(column, text=title)
        self.hint.configure(text=self.model.hint, wraplength=max(100, self.files.winfo_width() - 40))
        if self.model.hint:
            self.hint.place(relx=0.5, rely=0.6, anchor="center")
        else:
            self.hint.place_forget()
        share, words = self.model.fullness
        self.full.configure(value=share)
        self.full_words.configure(text=words)
        self.enable()
        return more

    def show_transfers(self) -> bool:
        more = self.show_rows(self.transfers, transfer_rows(self.model))
        share, words = self.model.total
        self.total.configure(value=share)
        self.total_words.configure(text=words)
        self.look_at_bars()
        self.enable()
        return more

    def look_at_bars(self) -> None:
        """Put a bar over each visible row: a table of Tk draws no bars, and two hundred bars would be slow."""
        used = 0
        shares = {each.row: each.share for each in self.model.transfers}
        for row in self.seen_rows(self.transfers):
            place = self.transfers.bbox(row, "1")
            if place and row in shares:
                if used == len(self.bars):
                    self.bars.append(ttk.Progressbar(self.transfers, maximum=1.0))
                x, y, width, height = place
                self.bars[used].configure(value=shares[row])
                self.bars[used].place(x=x + 4, y=y + 3, width=width - 8, height=height - 6)
                used += 1
        for bar in self.bars[used:]:
            bar.place_forget()

    def seen_rows(self, tree: ttk.Treeview) -> list[str]:
        """Return the visible rows, and one more on either side; asking Tk about each row would be slow."""
        rows = tree.get_children()
        top, bottom = tree.yview()
        return list(rows[max(0, int(top * len(rows)) - 1) : int(bottom * len(rows)) + 2])

    def enable(self) -> None:
        """Enable only the buttons that can do something now."""
        for name, can in self.do.possible().items():
            getattr(self, name).state(["!disabled" if can else "disabled"])

    # What it asks, and what a person does

    def typed(self) -> tuple[str, str, str]:
        return self.email.get().strip(), self.password.get(), self.link.get()

    def chosen(self, table: str) -> set[str]:
        return set({"buckets": self.buckets, "files": self.files, "transfers": self.transfers}[table].selection())

    def ask_text(self, title: str, question: str, text: str) -> str:
        return simpledialog.askstring(title, question, initialvalue=text, parent=self.root) or ""

    def sure(self, title: str, question: str) -> bool:
        words = self.drawn(question)
        return bool(messagebox.askyesno(title, words, icon="warning", default="no", parent=self.root))

    def ask_files(self, title: str) -> list[str]:
        return list(filedialog.askopenfilenames(parent=self.root, title=title))

    def ask_folder(self, title: str) -> str:
        return filedialog.askdirectory(parent=self.root, title=title) or ""

    def copy(self, text: str) -> None:
        self.root.clipboard_clear()
        self.root.clipboard_append(text)

    def mailed(self, token: str) -> None:
        self.link.delete(0, "end")
        self.link.insert(0, token)
        self.do.activate()

    def opens_menu(self, event: tkinter.Event[Any]) -> None:
        row = self.files.identify_row(event.y)
        if row and row not in self.files.selection():
            self.files.selection_set(row)
        if row:
            self.files.focus_set()
            self.menu.tk_popup(event.x_root, event.y_root)

    def close(self) -> None:
        if self.do.may_stop("Quit"):
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
        window = Window(root, Model(client, Memory(config_folder(), url)))
        root.mainloop()


if __name__ == "__main__":
    main()
