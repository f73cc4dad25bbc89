"""Baseline: the usual way, as tutorials show it: `def` endpoints, a session per request, ORM entities, response models."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import BigInteger, Computed, ForeignKey, Identity, Numeric, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker

_SECRET: Final = os.environ["BASELINE_SECRET"]

engine = create_engine(os.environ["BASELINE_URL"])
SessionLocal = sessionmaker(bind=engine, autoflush=False)
app = FastAPI()
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="token")


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    email: Mapped[str]


class Product(Base):
    __tablename__ = "products"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    sku: Mapped[str]
    name: Mapped[str]
    description: Mapped[str | None]
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    currency: Mapped[str]
    stock: Mapped[int]
    status: Mapped[str]
    version: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    status: Mapped[str]
    total: Mapped[Decimal] = mapped_column(Numeric(18, 2))
    currency: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    items: Mapped[list[OrderLine]] = relationship()


class OrderLine(Base):
    __tablename__ = "order_lines"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    sku: Mapped[str]
    name: Mapped[str]
    quantity: Mapped[int]
    unit_price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    line_total: Mapped[Decimal] = mapped_column(Numeric(18, 2), Computed("quantity * unit_price", persisted=True))


class StockMovement(Base):
    __tablename__ = "stock_movements"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    order_id: Mapped[int] = mapped_column(BigInteger)
    quantity: Mapped[int]


class FromRow(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ProductOut(FromRow):
    id: int
    sku: str
    name: str
    description: str | None
    price: Decimal
    currency: str
    stock: int
    status: str
    version: int
    created_at: datetime
    updated_at: datetime


class ProductPage(BaseModel):
    items: list[ProductOut]
    next_cursor: str | None


class LineIn(BaseModel):
    product_id: int
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]


class OrderIn(BaseModel):
    items: Annotated[list[LineIn], Field(min_length=1, max_length=1_000)]


class LineOut(FromRow):
    product_id: int
    sku: str
    name: str
    quantity: int
    unit_price: Decimal
    line_total: Decimal


class OrderOut(FromRow):
    id: int
    user_id: int
    status: str
    total: Decimal
    currency: str
    items: list[LineOut]
    created_at: datetime


def get_db() -> Iterator[Session]:
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


Db = Annotated[Session, Depends(get_db)]


def get_current_user(db: Db, token: Annotated[str, Depends(oauth2_scheme)]) -> User:
    try:
        claims = jwt.decode(token, _SECRET, algorithms=["HS256"])
    except jwt.InvalidTokenError as error:
        raise HTTPException(401) from error
    user = db.get(User, int(claims["sub"]))
    if user is None:
        raise HTTPException(401)
    return user


@app.get("/api/v1/products/{product_id}", response_model=ProductOut)
def read_product(product_id: int, db: Db) -> Any:
    product = db.get(Product, product_id)
    if product is None or product.status != "published":
        raise HTTPException(404)
    return product


@app.get("/api/v1/products", response_model=ProductPage)
def list_products(db: Db, limit: int = 20) -> Any:
    found = select(Product).where(Product.status == "published").order_by(Product.id.desc()).limit(limit + 1)
    rows = db.scalars(found).all()
    return {"items": rows[:limit], "next_cursor": str(rows[limit - 1].id) if len(rows) > limit else None}


@app.post("/api/v1/orders", response_model=OrderOut, status_code=201)
def place_order(body: OrderIn, db: Db, user: Annotated[User, Depends(get_current_user)]) -> Any:
    order = Order(user_id=user.id, status="pending", currency="GBP", total=Decimal(0))
    db.add(order)
    db.flush()
    for line in sorted(body.items, key=lambda line: line.product_id):
        product = db.get(Product, line.product_id, with_for_update=True)
        if product is None or product.status != "published":
            raise HTTPException(404)
        if product.stock < line.quantity:
            raise HTTPException(409)
        product.stock -= line.quantity
        order.total += line.quantity * product.price
        order.items.append(
            OrderLine(
                product_id=product.id, sku=product.sku, name=product.name, quantity=line.quantity, unit_price=product.price
            )
        )
        db.add(StockMovement(product_id=product.id, order_id=order.id, quantity=-line.quantity))
    db.commit()
    db.refresh(order)
    return order
