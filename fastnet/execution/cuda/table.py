"""The table of instructions that a GPU's program reads."""

from dataclasses import dataclass, field

from fastnet_kernels import codes

from .products import Product


@dataclass
class Table:
    """Instructions, in groups: all blocks wait for each other before the first one of a group."""

    rows: list[list[int]] = field(default_factory=list)
    tasks: int = 1  # of the largest instruction
    waits: bool = False
    stops: bool = False

    def group(self, *, stops: bool = False) -> None:
        """From here on; `stops` is said once, for all groups that follow."""
        self.waits, self.stops = True, self.stops or stops

    def add(
        self, operation: int, layer: int = 0, role: int = 0, product: Product | None = None, partial: int = 0,
        *, fuses_output: bool = False, step: int = 0,
    ) -> None:  # fmt: skip
        row = [0] * codes.INSTRUCTION_COLUMNS
        row[codes.OPERATION], row[codes.LAYER], row[codes.ROLE] = operation, layer, role
        row[codes.SLICES], row[codes.PARTIAL], row[codes.FUSES_OUTPUT] = 1, partial, int(fuses_output)
        row[codes.STEP] = step
        if product is not None:
            row[codes.TILE], row[codes.SLICES] = product.tile, product.slices
            self.tasks = max(self.tasks, product.tasks)
        row[codes.WAITS], row[codes.STOPS], self.waits = self.waits, self.stops, False
        self.rows.append(row)
